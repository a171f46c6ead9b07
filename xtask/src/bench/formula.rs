//! F = (A + B) * C as a native program: the arguments are one flat JSON object on stdin. Not a part of
//! the tasks: they compile it, and measure how soon it answers.

use std::io::Read;

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the arguments");
    let fields = text.trim_matches(['{', '}', ' ', '\n']).split(',').filter_map(|field| field.split_once(':'));
    let value = |wanted: &str| -> f64 {
        let named = fields.clone().find(|(name, _)| name.trim_matches([' ', '"']) == wanted);
        named.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or_default()
    };
    print!("{}", (value("a") + value("b")) * value("c"));
}
