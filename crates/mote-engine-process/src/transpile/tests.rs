//! Translation of TypeScript and what is read off a source, file by file.

use super::*;

fn artifact(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn read(directory: &tempfile::TempDir, path: &str) -> String {
    fs::read_to_string(directory.path().join(path)).unwrap()
}

/// The parameters of one exported function of a file with that text.
fn parameters(file: &str, text: &str, export: &str) -> String {
    let directory = artifact(&[(file, text)]);
    build(directory.path()).unwrap();
    let described: Value = serde_json::from_str(&read(&directory, ".mote/signature.json")).unwrap();
    let target = target(Path::new(file)).0;
    described[target.to_str().unwrap()][export]["parameters"].to_string()
}

fn refusal(file: &str, text: &str) -> Error {
    build(artifact(&[(file, text)]).path()).unwrap_err()
}

#[test]
fn parameters_are_read_from_types_defaults_and_comments() {
    let check = |file, text, export, expect: &str| assert_eq!(parameters(file, text, export), expect, "{text}");
    let number_a = r#"[{"name":"a","required":true,"type":"number"}]"#;
    check("f.ts", "export function f(a: number) {}", "f", number_a);
    check("f.ts", "export default async (a: number): Promise<number> => a;", "default", number_a);
    check("f.ts", "const f = (a: number) => a; export { f as g };", "g", number_a);
    check("f.ts", "type N = number; export const f = function (a: N) {};", "f", number_a);
    check("f.cts", "exports.f = (a: number) => a;", "f", number_a);
    check("f.js", "/** @param {number} a what */\nfunction f(a) {}\nmodule.exports = { f };", "f", number_a);
    check("f.js", "/** @param {number} a */\nmodule.exports = (a) => a;", "default", number_a);
    check("f.js", "/**\n * Does.\n * @param {number} a\n */\nexport default function (a) {}", "default", number_a);
    check("f.js", "function f(a = 3) {} export default f", "default", r#"[{"default":3,"name":"a","required":false,"type":"number"}]"#);
    check("f.js", "export const f = (a = -1.5) => a", "f", r#"[{"default":-1.5,"name":"a","required":false,"type":"number"}]"#);
    check("f.js", "/** @param {string} [a] */ export const f = (a) => a", "f", r#"[{"name":"a","required":false,"type":"string"}]"#);
    check("f.ts", "export function f(a?: string | null) {}", "f", r#"[{"name":"a","nullable":true,"required":false,"type":"string"}]"#);
    check("f.ts", "export function f(a: 'x' | 'y') {}", "f", r#"[{"enum":["x","y"],"name":"a","required":true,"type":"string"}]"#);
    check(
        "f.ts",
        "export function f(a: number[], b: Date) {}",
        "f",
        r#"[{"items":{"type":"number"},"name":"a","required":true,"type":"array"},{"form":"date","name":"b","required":true,"type":"string"}]"#,
    );
    check(
        "f.ts",
        "enum E { A, B = 5, C } export function f(a: E) {}",
        "f",
        r#"[{"enum":[0,5,6],"name":"a","required":true,"type":"number"}]"#,
    );
    check("f.ts", "type T = T; export function f(a: T) {}", "f", r#"[{"name":"a","required":true}]"#);
}

#[test]
fn a_destructured_parameter_is_one_for_each_property() {
    let check = |file, text, expect: &str| assert_eq!(parameters(file, text, "f"), expect, "{text}");
    let expect = concat!(
        r#"[{"name":"argument1","others":false,"properties":[{"name":"a","required":true,"type":"number"},"#,
        r#"{"default":"x","name":"b","required":false,"type":"string"}],"required":true,"type":"object"}]"#
    );
    check("f.ts", "interface O { a: number, b?: string } export function f({ a, b = 'x' }: O) {}", expect);
    check("f.js", "/** @param {object} o\n * @param {number} o.a */\nexport function f({ a, b = 'x' }) {}", expect);
}

#[test]
fn typescript_becomes_javascript_beside_it() {
    let directory = artifact(&[
        (
            "app.ts",
            "import { x } from './lib/x'; import y from './y.ts';\nimport type { Z } from './z';\nexport const f = (z: Z) => x + y;",
        ),
        ("lib/x.ts", "export enum E { A = 1 }\nnamespace N { export const one: number = 1 }\nexport const x = E.A + N.one;"),
        ("y.ts", "export default 1 as number;"),
        ("c.cts", "exports.f = <T,>(x: T): T => x;"),
        ("types.d.ts", "declare const x: number;"),
        ("node_modules/m/index.ts", "not typescript"),
    ]);
    assert_eq!(build(directory.path()).unwrap(), 4);
    let app = read(&directory, "app.js");
    assert!(app.contains("\"./lib/x.js\"") && app.contains("\"./y.js\"") && !app.contains("Z }"), "{app}");
    assert!(read(&directory, "lib/x.js").contains("E[E[\"A\"] = 1]"));
    assert!(read(&directory, "c.cjs").contains("exports.f = (x) => x"));
    assert!(!directory.path().join("types.js").exists() && !directory.path().join("node_modules/m/index.js").exists());
}

#[test]
fn decorators_bring_what_they_need() {
    let directory = artifact(&[("d.ts", "const d = (t: any, k: string) => {}; export class C { @d m() {} }")]);
    build(directory.path()).unwrap();
    assert!(read(&directory, "d.js").starts_with("const babelHelpers"));
}

#[test]
fn a_mistake_names_its_line() {
    let error = refusal("app.ts", "const a = 1;\nexport function f(a: number {\n");
    assert_eq!(error.code(), Code::BuildFailed);
    assert!(error.detail().starts_with("app.ts:2:"), "{error}");
    assert!(error.detail().ends_with("export function f(a: number {"), "{error}");
}

#[test]
fn no_source_ends_the_process() {
    // Repeated to the largest size that is parsed at all: what recurses must fit the stack.
    for hostile in ["(", "[", "{", "`${", "!", "-", "a=>", "a?", "if(a)", "a=", "a**", "new ", "<T>", "x:", "a+", "a.", "else "] {
        let text = hostile.repeat(SOURCE_BYTES_MAX as usize / hostile.len());
        let result = build(artifact(&[("app.ts", &text), ("other.js", &text)]).path());
        assert_eq!(result.unwrap_err().code(), Code::BuildFailed, "{hostile}");
    }
    let valid = format!("export const x = {}1;", "1+".repeat(200_000));
    build(artifact(&[("app.ts", &valid)]).path()).unwrap();
}

#[test]
fn the_place_that_does_not_parse_is_found() {
    let directory = artifact(&[("a.js", "exports.a = 1;\n"), ("lib/b.mjs", "export const b = 1;\nexport const = 2;\n")]);
    let found = first_error(directory.path()).unwrap();
    assert!(found.starts_with("lib/b.mjs:2:14: ") && found.ends_with("\nexport const = 2;"), "{found}");
    assert_eq!(first_error(artifact(&[("a.js", "await 1; export {}")]).path()), None);
}
