//! Python's source as its logical lines, each a row of tokens that know their places.
//!
//! As much of Python as it takes to find what stands at a line's beginning: texts, brackets, comments and
//! lines that go on. Nothing is run, and what is no Python at all may well pass. What an expression is
//! worth: [`value`].

pub(in super::super) mod value;

use std::rc::Rc;

use super::super::finding::Finding;
use super::super::yaml::Place;

const BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: Place,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A word, a keyword too.
    Word(Rc<str>),
    Number(Rc<str>),
    Text(Rc<str>),
    /// A text with parts that are worked out, or bytes.
    Worked,
    Sign(char),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match &self.what {
            What::Word(word) => Some(word),
            What::Number(_) | What::Text(_) | What::Worked | What::Sign(_) => None,
        }
    }

    pub(super) fn is(&self, sign: char) -> bool {
        self.what == What::Sign(sign)
    }
}

/// A statement, or one up to its colon.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Whether nothing stands around it.
    pub(super) outermost: bool,
    /// At least one.
    pub(super) tokens: Vec<Token>,
}

impl Line {
    pub(super) fn at(&self) -> Place {
        self.tokens.first().map(|token| token.at).unwrap_or_default()
    }
}

pub(super) fn lines(text: &str) -> Result<Vec<Line>, Finding> {
    if text.len() > BYTES_MAX {
        return Err(Finding::new(Place::default(), format!("it has {} bytes, and may have {BYTES_MAX}", text.len())));
    }
    let letters: Vec<char> = text.trim_start_matches('\u{feff}').chars().collect();
    let mut reader = Reader { letters, next: 0, at: Place { line: 1, column: 1 }, open: Vec::new() };
    let (mut lines, mut tokens) = (Vec::new(), Vec::new());
    while let Some(letter) = reader.peek() {
        match letter {
            '\n' | ';' if reader.open.is_empty() => {
                reader.step();
                close(&mut lines, &mut tokens);
            }
            '#' => reader.skip_while(|letter| letter != '\n'),
            '\\' if reader.after(1) == Some('\n') => {
                reader.step();
                reader.step();
            }
            letter if letter.is_whitespace() => drop(reader.step()),
            _ => tokens.push(reader.token()?),
        }
    }
    if let Some((at, open)) = reader.open.last() {
        return Err(Finding::new(*at, format!("nothing closes this {open:?}")));
    }
    close(&mut lines, &mut tokens);
    Ok(lines)
}

fn close(lines: &mut Vec<Line>, tokens: &mut Vec<Token>) {
    let Some(first) = tokens.first() else { return };
    let outermost = first.at.column == 1;
    lines.push(Line { outermost, tokens: std::mem::take(tokens) });
}

struct Reader {
    letters: Vec<char>,
    next: usize,
    at: Place,
    /// Brackets that are not closed yet.
    open: Vec<(Place, char)>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.after(0)
    }

    fn after(&self, letters: usize) -> Option<char> {
        self.letters.get(self.next + letters).copied()
    }

    fn step(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.next += 1;
        match letter {
            '\n' => self.at = Place { line: self.at.line + 1, column: 1 },
            _ => self.at.column += 1,
        }
        Some(letter)
    }

    fn skip_while(&mut self, holds: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.step();
        }
    }

    fn taken_while(&mut self, holds: impl Fn(char) -> bool) -> Rc<str> {
        let begin = self.next;
        self.skip_while(holds);
        self.letters.get(begin..self.next).unwrap_or_default().iter().collect::<String>().into()
    }

    fn token(&mut self) -> Result<Token, Finding> {
        let at = self.at;
        let letter = self.peek().unwrap_or_default();
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let what = match letter {
            '"' | '\'' => self.text("")?,
            letter if letter.is_ascii_digit() => What::Number(self.taken_while(|letter| is_word(letter) || letter == '.')),
            letter if is_word(letter) => {
                let word = self.taken_while(is_word);
                let prefix = word.to_ascii_lowercase();
                let prefixes = ["r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"].contains(&&*prefix);
                match self.peek() {
                    Some('"' | '\'') if prefixes => self.text(&prefix)?,
                    _ => What::Word(word),
                }
            }
            letter => {
                self.step();
                self.bracket(at, letter)?;
                What::Sign(letter)
            }
        };
        Ok(Token { at, what })
    }

    fn bracket(&mut self, at: Place, letter: char) -> Result<(), Finding> {
        let opened = match letter {
            '(' | '[' | '{' if self.open.len() >= DEPTH_MAX => {
                return Err(Finding::new(at, format!("it is nested more than {DEPTH_MAX} deep")));
            }
            '(' | '[' | '{' => {
                self.open.push((at, letter));
                return Ok(());
            }
            ')' => '(',
            ']' => '[',
            '}' => '{',
            _ => return Ok(()),
        };
        match self.open.pop() {
            Some((_, open)) if open == opened => Ok(()),
            _ => Err(Finding::new(at, format!("this {letter:?} closes nothing"))),
        }
    }

    /// From its first quote on.
    fn text(&mut self, prefix: &str) -> Result<What, Finding> {
        let at = self.at;
        let quote = self.step().unwrap_or_default();
        let long = self.peek() == Some(quote) && self.after(1) == Some(quote);
        if long {
            self.step();
            self.step();
        }
        let (raw, worked) = (prefix.contains('r'), prefix.contains(['f', 'b', 't']));
        let mut text = String::new();
        let unclosed = || Finding::new(at, "nothing closes this text");
        loop {
            let letter = self.peek().filter(|letter| long || *letter != '\n').ok_or_else(unclosed)?;
            if letter == quote && (!long || (self.after(1) == Some(quote) && self.after(2) == Some(quote))) {
                for _ in 0..if long { 3 } else { 1 } {
                    self.step();
                }
                return Ok(if worked { What::Worked } else { What::Text(text.into()) });
            }
            self.step();
            match letter {
                '\\' if raw => {
                    text.push('\\');
                    text.extend(self.step());
                }
                '\\' => self.escape(&mut text),
                letter => text.push(letter),
            }
        }
    }

    fn escape(&mut self, text: &mut String) {
        let letter = self.step().unwrap_or_default();
        let digits = match letter {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        match letter {
            '\n' => {}
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '\\' | '\'' | '"' => text.push(letter),
            _ if digits > 0 => {
                let hex: String =
                    (0..digits).map_while(|_| self.peek().filter(char::is_ascii_hexdigit).and_then(|_| self.step())).collect();
                text.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            // As Python has it, an unknown one stands for itself.
            _ => text.extend(['\\', letter]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let shown = |token: &Token| match &token.what {
            What::Word(word) | What::Number(word) => word.to_string(),
            What::Text(text) => format!("{:?}", &**text),
            What::Worked => "…".to_owned(),
            What::Sign(sign) => sign.to_string(),
        };
        let line = |line: &Line| {
            format!(
                "{} {}{}",
                line.at(),
                if line.outermost { "" } else { "  " },
                line.tokens.iter().map(shown).collect::<Vec<_>>().join(" ")
            )
        };
        lines(text).unwrap().iter().map(line).collect()
    }

    #[test]
    fn lines_go_on_in_brackets_and_behind_a_backslash() {
        assert_eq!(told("a = (1,\n  'x' # no\n)\nb = \\\n  2; c\n"), ["1:1 a = ( 1 , \"x\" )", "4:1 b = 2", "5:6   c"]);
        assert_eq!(told("@app.route('/')\ndef f():\n    pass\n"), ["1:1 @ app . route ( \"/\" )", "2:1 def f ( ) :", "3:5   pass"]);
        assert_eq!(told("\u{feff}é = r'\\d' 'b' # x"), ["1:1 é = \"\\\\d\" \"b\""]);
    }

    #[test]
    fn texts() {
        assert_eq!(
            told(
                r#"'a\'b\x41\n\q' "" f'{x}' b"y" """a
b"c""" u'd'"#
            ),
            [r#"1:1 "a'bA\n\\q" "" … … "a\nb\"c" "d""#]
        );
    }

    #[test]
    fn what_has_no_end_is_refused_in_its_place() {
        let refused = |text: &str| lines(text).map_err(|finding| format!("{} {}", finding.at, finding.what)).unwrap_err();
        assert_eq!(refused("a = 'x\n"), "1:5 nothing closes this text");
        assert_eq!(refused("a = '''x\n"), "1:5 nothing closes this text");
        assert_eq!(refused("f(\n"), "1:2 nothing closes this '('");
        assert_eq!(refused("f(]\n"), "1:3 this ']' closes nothing");
        assert_eq!(refused(&"(".repeat(101)), "1:101 it is nested more than 100 deep");
        assert!(lines(&"\\".repeat(50)).is_ok() && lines("'\\").is_err() && lines("\"\"\"\\").is_err());
    }
}
