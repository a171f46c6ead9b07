//! A small document as a tree of elements, for requests that are one: bounded, without attributes.
//!
//! Not a general reader: a document type, and what would be expanded, is refused.

use quick_xml::Reader;
use quick_xml::events::Event;

const BYTES_MAX: usize = 256 << 10;
const DEPTH_MAX: usize = 8;
const NODES_MAX: usize = 4096;

/// An element: its local name, the text directly in it, and the elements in it.
#[derive(Debug, Default, PartialEq)]
pub(in crate::aws) struct Node {
    pub(in crate::aws) name: String,
    pub(in crate::aws) text: String,
    pub(in crate::aws) children: Vec<Node>,
}

impl Node {
    pub(in crate::aws) fn all(&self, name: &'static str) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// That of the first element of that name.
    pub(in crate::aws) fn text(&self, name: &'static str) -> Option<&str> {
        self.all(name).next().map(|child| child.text.as_str())
    }
}

/// The root; the error says why there is none.
pub(in crate::aws) fn read(bytes: &[u8]) -> Result<Node, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it has {} bytes, and {BYTES_MAX} are read", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    let (mut root, mut nodes) = (None, 0);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                nodes += 1;
                if open.len() >= DEPTH_MAX || nodes > NODES_MAX || root.is_some() {
                    return Err("it is too deep, too large, or more than one".to_owned());
                }
                open.push(Node { name: local(start.local_name().as_ref())?, ..Node::default() });
            }
            Event::Empty(start) => {
                nodes += 1;
                let node = Node { name: local(start.local_name().as_ref())?, ..Node::default() };
                if nodes > NODES_MAX || root.is_some() {
                    return Err("it is too large, or more than one".to_owned());
                }
                place(&mut open, &mut root, node);
            }
            Event::End(_) => match open.pop() {
                Some(mut node) => {
                    node.text = node.text.trim().to_owned();
                    place(&mut open, &mut root, node);
                }
                None => return Err("an element ends that has not begun".to_owned()),
            },
            Event::Text(text) => put(&mut open, &text.decode().map_err(|error| error.to_string())?)?,
            Event::CData(text) => put(&mut open, &text.decode().map_err(|error| error.to_string())?)?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(character) => character,
                    None => match reference.decode().map_err(|error| error.to_string())?.as_ref() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        other => return Err(format!("&{other:.20}; is not known")),
                    },
                };
                put(&mut open, resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err("it is not whole".to_owned()),
    }
}

fn local(name: &[u8]) -> Result<String, String> {
    String::from_utf8(name.to_vec()).map_err(|_| "a name is not UTF-8".to_owned())
}

fn place(open: &mut [Node], root: &mut Option<Node>, node: Node) {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *root = Some(node),
    }
}

fn put(open: &mut [Node], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(node) => node.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text beside the document".to_owned()),
    }
    Ok(())
}
