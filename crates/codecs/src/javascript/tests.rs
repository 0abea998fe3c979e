use serde_json::{Value, json};

use super::*;

fn script(source: &str) -> Script {
    Script::new("codec.js", source, &Engine::default()).unwrap()
}

fn call(bytes: &[u8]) -> Call<'_> {
    Call { bytes, port: Some(2), received: "2026-11-20T10:00:00.000Z", device: Some("d") }
}

/// What `decodeUplink` with this body makes of the bytes 1, 2, 255 on FPort 2.
fn decodes(body: &str) -> Result<Answer, ScriptFailure> {
    script(&format!("function decodeUplink(input) {{ {body} }}")).decode(&call(&[1, 2, 255]))
}

fn data(body: &str) -> Value {
    decodes(&format!("return {{ data: {body} }}")).unwrap().data
}

fn fails_to_load(source: &str) -> ScriptError {
    Script::new("codec.js", source, &Engine::default()).unwrap_err()
}

#[test]
fn a_codec_sees_bytes_port_and_time() {
    assert_eq!(
        data(
            "{ bytes: input.bytes, real: Array.isArray(input.bytes), port: input.fPort, at: input.recvTime }"
        ),
        json!({"bytes": [1, 2, 255], "real": true, "port": 2, "at": "2026-11-20T10:00:00.000Z"})
    );
}

#[test]
fn an_uplink_without_a_port_has_none() {
    let codec = script("function decodeUplink(input) { return { data: { has: 'fPort' in input } } }");
    assert_eq!(codec.decode(&Call { port: None, ..call(&[]) }).unwrap().data, json!({"has": false}));
}

#[test]
fn the_older_functions_are_called_with_their_own_arguments() {
    let decoder = script("function Decoder(bytes, port) { return { sum: bytes[0] + bytes[1], port: port } }");
    assert_eq!(decoder.decode(&call(&[1, 2])).unwrap().data, json!({"sum": 3, "port": 2}));
    let decode =
        script("function Decode(fPort, bytes, variables) { return { fPort, n: bytes.length, variables } }");
    assert_eq!(decode.decode(&call(&[1, 2])).unwrap().data, json!({"fPort": 2, "n": 2, "variables": {}}));
    let both = script("function Decoder() { return 1 }\nfunction decodeUplink() { return { data: 2 } }");
    assert_eq!(both.decode(&call(&[])).unwrap().data, json!(2), "TS013 goes first");
}

#[test]
fn functions_may_be_variables_arrows_and_members_of_the_global_object() {
    for source in [
        "var decodeUplink = function (input) { return { data: input.bytes[0] } }",
        "const decodeUplink = ({ bytes }) => ({ data: bytes[0] })",
        "globalThis.decodeUplink = (input) => ({ data: input.bytes[0] })",
        "this.decodeUplink = (input) => ({ data: input.bytes[0] })",
        "\"use strict\"; let first = (b) => b[0]; function decodeUplink(i) { return { data: first(i.bytes) } } // end",
        "\u{feff}function first(b) { return b[0] } function decodeUplink(i) { return { data: this.first(i.bytes) } }",
    ] {
        assert_eq!(script(source).decode(&call(&[7])).unwrap().data, json!(7), "{source}");
    }
}

#[test]
fn warnings_are_kept_and_errors_are_the_codecs_refusal() {
    let answer = decodes("return { data: { a: 1 }, warnings: ['low battery'] }").unwrap();
    assert_eq!((answer.warnings.as_slice(), answer.refusal()), (&["low battery".to_owned()][..], None));
    let answer = decodes("return { errors: ['unknown FPort', 'and more'] }").unwrap();
    assert_eq!(answer.refusal().unwrap().to_string(), "the codec says: unknown FPort; and more");
    let answer = decodes("return { data: { a: 1 }, errors: 'one text' }").unwrap();
    assert_eq!((&answer.data, answer.errors.as_slice()), (&json!({"a": 1}), &["one text".to_owned()][..]));
}

#[test]
fn what_json_drops_is_dropped() {
    assert_eq!(
        data("{ a: undefined, f: function () {}, n: NaN, i: Infinity, d: new Date(0), l: [undefined] }"),
        json!({"n": null, "i": null, "d": "1970-01-01T00:00:00.000Z", "l": [null]})
    );
}

#[test]
fn texts_that_are_no_unicode_are_mended_and_answers_are_bounded() {
    let text = data("{ half: String.fromCharCode(0xd83d), whole: '\\ud83d\\ude00', escaped: '\\\\ud83d' }");
    assert_eq!(text, json!({"half": "\u{fffd}", "whole": "😀", "escaped": "\\ud83d"}));
    let large = decodes("return { data: 'x'.repeat(300000) }").unwrap_err();
    assert_eq!(large.to_string(), "the codec returned more than 256 KiB");
}

#[test]
fn nothing_returned_is_an_error() {
    for body in [
        "",
        "return",
        "return null",
        "return 'text'",
        "return {}",
        "return { data: null }",
        "return { warnings: [] }",
    ] {
        assert_eq!(decodes(body).unwrap_err(), ScriptFailure::Nothing, "{body}");
    }
    assert_eq!(script("function Decoder() {}").decode(&call(&[])).unwrap_err(), ScriptFailure::Nothing);
}

#[test]
fn what_it_throws_is_told_in_one_line_of_bounded_length() {
    for (body, text) in [
        ("throw new Error('bad\\nframe')", "the codec threw Error: bad frame"),
        ("throw 'text'", "the codec threw text"),
        ("throw undefined", "the codec threw undefined"),
        ("return { data: missing }", "the codec threw ReferenceError: missing is not defined"),
        ("return { data: 1n }", "the codec threw TypeError: BigInt are forbidden in JSON.stringify"),
    ] {
        assert_eq!(decodes(body).unwrap_err().to_string(), text);
    }
    let long = decodes("throw 'é'.repeat(5000)").unwrap_err().to_string();
    assert_eq!(long.chars().count(), "the codec threw ".len() + 201);
    let promise = decodes("return Promise.resolve({ data: 1 })").unwrap_err().to_string();
    assert_eq!(promise, "the codec threw TypeError: it returned a promise; a codec must answer at once");
}

#[test]
fn there_is_a_silent_console_and_nothing_of_a_host() {
    let names = "['Buffer','require','process','fetch','module','exports','setTimeout','XMLHttpRequest','Deno','std','os',\
        'performance','Atomics','SharedArrayBuffer','WebAssembly','atob','navigator']";
    assert_eq!(data(&format!("{names}.filter((name) => name in globalThis)")), json!([]));
    assert_eq!(data("[console.log('x'), console.error(), console.table([])].length"), json!(3));
    let import = decodes("return { data: 1, p: import('fs').catch(() => 0) }").unwrap();
    assert_eq!(import.data, json!(1), "an import finds nothing");
}

#[test]
fn normalize_uplink_makes_a_list_of_one_or_of_many() {
    let with = |normalizer: &str| {
        let source = format!(
            "function decodeUplink(input) {{ return {{ data: {{ t: 21.5 }} }} }}\n\
             function normalizeUplink(input) {{ {normalizer} }}"
        );
        script(&source).decode(&call(&[])).unwrap()
    };
    let one = with("return { data: { air: { temperature: input.data.t } } }");
    assert_eq!(one.normalized, Some(vec![json!({"air": {"temperature": 21.5}})]));
    assert_eq!(with("return { data: [{ a: 1 }, { a: 2 }] }").normalized.unwrap().len(), 2);
    let failed = with("throw new Error('no')");
    assert_eq!(
        (failed.normalized, failed.warnings),
        (None, vec!["normalizeUplink threw Error: no".to_owned()])
    );
    assert_eq!(with("input.data.t = 0; return { data: {} }").data, json!({"t": 21.5}), "it works on a copy");
}

#[test]
fn encode_downlink_makes_bytes_and_a_port() {
    let codec = script(
        "function decodeUplink() { return { data: 1 } }
         function encodeDownlink(input) {
           if (input.data.led === undefined) return { errors: ['led is missing'] };
           return { bytes: [input.data.led ? 1 : 0, 255], fPort: 10, warnings: ['w'] };
         }",
    );
    let downlink = codec.encode(&json!({"led": true}), "d").unwrap();
    assert_eq!(downlink, Downlink { port: Some(10), bytes: vec![1, 255], warnings: vec!["w".to_owned()] });
    assert_eq!(codec.encode(&json!({}), "d").unwrap_err().to_string(), "the codec says: led is missing");
    for bytes in ["[256]", "[-1]", "[0.5]", "['1']"] {
        let source =
            format!("function Decoder() {{}} function encodeDownlink() {{ return {{ bytes: {bytes} }} }}");
        let refused = script(&source).encode(&json!({}), "d").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the codec returned bytes that are not whole numbers from 0 to 255",
            "{bytes}"
        );
    }
    let none = script("function Decoder() {}").encode(&json!({}), "d").unwrap_err();
    assert_eq!(none, ScriptFailure::NoEncoder);
}

#[test]
fn nothing_passes_from_one_message_to_the_next() {
    let codec = script(
        "var seen = 0; const kept = [];
         function decodeUplink() {
           seen++; kept.push(1); leaked = (typeof leaked === 'undefined') ? 1 : leaked + 1;
           return { data: [seen, kept.length, leaked] };
         }",
    );
    for _ in 0..3 {
        assert_eq!(codec.decode(&call(&[])).unwrap().data, json!([1, 1, 1]));
    }
}

#[test]
fn what_a_codec_does_to_the_language_reaches_no_other() {
    let engine = Engine::default();
    let vandal = "Array.prototype.map = null; JSON.stringify = null; Math.floor = () => 7;
        function decodeUplink() { Object.prototype.oops = 1; return { data: 1 } }";
    let vandal = Script::new("vandal.js", vandal, &engine).unwrap();
    let other =
        "function decodeUplink(input) { return { data: { n: Math.floor(1.5), m: [1].map(String) } } }";
    let other = Script::new("other.js", other, &engine).unwrap();
    assert_eq!(vandal.decode(&call(&[])).unwrap().data, json!(1));
    assert_eq!(other.decode(&call(&[])).unwrap().data, json!({"n": 1, "m": ["1"]}));
}

#[test]
fn a_loop_is_stopped_and_the_next_message_is_decoded() {
    let codec = script(
        "function decodeUplink(input) {
           try { while (input.bytes[0] === 0) {} } catch (e) { while (true) {} } finally { if (input.bytes[0] === 0) for (;;); }
           return { data: input.bytes[0] };
         }",
    );
    assert_eq!(codec.decode(&call(&[0])).unwrap_err(), ScriptFailure::TimedOut);
    assert_eq!(codec.decode(&call(&[5])).unwrap().data, json!(5));
}

#[test]
fn a_loop_within_the_engine_is_stopped_too() {
    for body in [
        "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "return Array.prototype.indexOf.call({ length: 2 ** 52 }, 1)",
        "return [].concat(...Array(5)).lastIndexOf.call({ length: 2 ** 52 }, 1)",
        "return new Array(4294967295).includes(1)",
        "[3, 1, 2].sort(() => { for (;;); })",
        "JSON.stringify({ toJSON() { for (;;); } })",
    ] {
        assert_eq!(decodes(body).unwrap_err(), ScriptFailure::TimedOut, "{body}");
    }
}

#[test]
fn lists_that_would_not_fit_into_memory_are_refused_where_the_engine_does_not_look_at_its_time() {
    for body in [
        "new Array(4294967295).reverse()",
        "const l = []; l[4e9] = 1; return { data: l.slice(1) }",
        "const l = []; l.length = 4e9; l.sort()",
        "Array.prototype.shift.call({ length: 2 ** 52 })",
        "return { data: new Array(4294967295).join() }",
        "[].unshift.call({ length: 2 ** 52 }, 1)",
        "[].concat.call(new Array(4294967295), [1])",
        "[1].concat(new Array(4294967295))",
        "new Array(4294967295).splice(0, 1)",
        "new Array(4294967295).toSorted()",
    ] {
        let refused = decodes(body).unwrap_err().to_string();
        assert_eq!(refused, "the codec threw RangeError: the list is too long", "{body}");
    }
    assert_eq!(data("[3, 1, 2].sort().reverse().concat([9]).slice(1, -1).join('-')"), json!("2-1"));
    assert_eq!(data("new Array(3).fill(7)"), json!([7, 7, 7]));
}

#[test]
fn who_eats_memory_harms_only_its_own_message() {
    let codec = script(
        "function decodeUplink(input) {
           if (input.bytes[0] === 0) { const l = []; for (;;) l.push(new Array(1000).fill(l.length)); }
           if (input.bytes[0] === 1) return { data: 'x'.repeat(1 << 28) };
           if (input.bytes[0] === 2) { let s = 'x'; for (;;) s += s; }
           if (input.bytes[0] === 3) return { data: new Uint8Array(1 << 30).length };
           return { data: input.bytes[0] };
         }",
    );
    for byte in 0..4 {
        let failed = codec.decode(&call(&[byte])).unwrap_err();
        let text = failed.to_string();
        let bounds = ["more than 8 MiB of memory", "InternalError: string too long"];
        assert!(bounds.iter().any(|bound| text.contains(bound)), "{byte}: {text}");
        assert_eq!(codec.decode(&call(&[5])).unwrap().data, json!(5));
    }
}

#[test]
fn endless_recursion_and_endless_nesting_are_errors() {
    let recursion = decodes("(function f() { f() })()").unwrap_err().to_string();
    assert_eq!(recursion, "the codec threw RangeError: Maximum call stack size exceeded");
    let nested = "let a = {}; const top = a; for (let i = 0; i < 5000; i++) { a.a = {}; a = a.a } return { data: top }";
    decodes(nested).unwrap_err();
    let nested =
        "let a = {}; const top = a; for (let i = 0; i < 500; i++) { a.a = {}; a = a.a } return { data: top }";
    assert_eq!(decodes(nested).unwrap_err().to_string(), "the codec returned what nests too deeply");
    decodes("const a = {}; a.a = a; return { data: a }").unwrap_err();
}

#[test]
fn a_device_that_makes_it_loop_again_and_again_is_passed_over_and_others_are_not() {
    let codec = script("function decodeUplink(input) { while (input.bytes[0] === 0) {} return { data: 1 } }");
    for _ in 0..3 {
        assert_eq!(codec.decode(&call(&[0])).unwrap_err(), ScriptFailure::TimedOut);
    }
    let refused = codec.decode(&call(&[1])).unwrap_err().to_string();
    assert_eq!(refused, "the codec was stopped 3 times and is skipped for the next 16 messages");
    assert_eq!(codec.decode(&Call { device: Some("other"), ..call(&[1]) }).unwrap().data, json!(1));
    assert_eq!(
        codec.decode(&Call { device: None, ..call(&[1]) }).unwrap().data,
        json!(1),
        "a message of its own"
    );
    for _ in 0..15 {
        codec.decode(&call(&[1])).unwrap_err();
    }
    assert_eq!(
        codec.decode(&call(&[1])).unwrap().data,
        json!(1),
        "after the rest it is tried, and all is well"
    );
}

#[test]
fn what_a_codec_hoards_in_the_languages_objects_is_taken_from_it() {
    let codec = script(
        "function decodeUplink() {
           const hoard = Array.prototype.hoard || (Array.prototype.hoard = []);
           hoard.push('x'.repeat(20000));
           return { data: hoard.length };
         }",
    );
    let most = (0..600).map(|_| codec.decode(&call(&[])).unwrap().data.as_u64().unwrap()).max();
    assert!(most <= Some(256), "{most:?}");
}

#[test]
fn a_file_that_is_no_codec_says_where_and_why() {
    let syntax = fails_to_load("function decodeUplink(input) {\n  return { data: }\n}");
    assert_eq!(
        (syntax.place().to_string(), syntax.to_string()),
        (":2:18".to_owned(), "SyntaxError: unexpected token in expression: '}'".to_owned())
    );
    let first_line = fails_to_load("function ]");
    assert_eq!(first_line.place().to_string(), ":1:10");
    let module = fails_to_load("export function decodeUplink(input) { return { data: 1 } }").to_string();
    assert!(module.starts_with("SyntaxError: "), "{module}");
    let throws = fails_to_load("throw new Error('no')").to_string();
    assert_eq!(throws, "the file cannot be run: Error: no");
    assert_eq!(fails_to_load("var x = 1"), ScriptError::NoFunction);
    assert_eq!(fails_to_load("var decodeUplink = 5"), ScriptError::NoFunction);
    let loops = fails_to_load("for (;;);").to_string();
    assert_eq!(loops, "the file itself needs more than a codec may: the codec was stopped after 200 ms");
    let large = format!("//{}", "x".repeat(MAX_FILE_BYTES));
    assert!(matches!(fails_to_load(&large), ScriptError::TooLarge { .. }));
}

#[test]
fn a_file_cannot_end_the_function_that_it_stands_in() {
    for source in ["}); function decodeUplink() {", "}", "return 1 })//", "})();(function () {"] {
        Script::new("codec.js", source, &Engine::default()).unwrap_err();
    }
}

#[test]
fn a_raw_nul_within_a_text_is_taken() {
    let codec = script("function decodeUplink() { return { data: 'a\0b'.replace(/\0/, '-') } }");
    assert_eq!(codec.decode(&call(&[])).unwrap().data, json!("a-b"));
}

#[test]
fn many_codecs_share_an_engine_that_keeps_few_in_memory() {
    let engine = Engine::default();
    let codecs: Vec<_> = (0..live::MAX_LIVE + 50)
        .map(|n| {
            Script::new("n.js", &format!("function decodeUplink() {{ return {{ data: {n} }} }}"), &engine)
                .unwrap()
        })
        .collect();
    let live = || codecs.iter().filter(|codec| codec.slot.lock().sandbox.is_some()).count();
    assert_eq!(live(), live::MAX_LIVE);
    for _ in 0..2 {
        for (n, codec) in codecs.iter().enumerate() {
            assert_eq!(codec.decode(&call(&[])).unwrap().data, json!(n), "one that was let go is made again");
        }
    }
    assert_eq!(live(), live::MAX_LIVE);
}

#[test]
fn a_codec_can_be_asked_from_any_thread() {
    let codec = script("function decodeUplink(input) { return { data: input.bytes[0] } }");
    std::thread::scope(|threads| {
        for byte in 0..4 {
            let codec = &codec;
            threads.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(codec.decode(&call(&[byte])).unwrap().data, json!(byte));
                }
            });
        }
    });
}
