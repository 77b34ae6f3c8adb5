//! The cross tests of groups G and H: the text of one type, sent to a method that takes another. What does not fit is a
//! [`DecodeError`](endpoint_runtime::DecodeError) for `on_error`, and the session stays open (OM-02, CD-09).

use super::*;

/// What is sent: whole numbers, whose value says which types take them.
const WHOLE: [(&str, i128); 25] = [
    ("0", 0),
    ("7", 7),
    ("007", 7),
    ("+7", 7),
    ("-1", -1),
    ("127", 127),
    ("128", 128),
    ("-128", -128),
    ("-129", -129),
    ("255", 255),
    ("256", 256),
    ("32767", 32_767),
    ("32768", 32_768),
    ("-32768", -32_768),
    ("-32769", -32_769),
    ("65535", 65_535),
    ("65536", 65_536),
    ("2147483647", 2_147_483_647),
    ("2147483648", 2_147_483_648),
    ("-2147483649", -2_147_483_649),
    ("4294967295", 4_294_967_295),
    ("4294967296", 4_294_967_296),
    ("9223372036854775808", 9_223_372_036_854_775_808),
    ("-9223372036854775809", -9_223_372_036_854_775_809),
    ("18446744073709551616", 18_446_744_073_709_551_616),
];

/// What is sent, and no whole number.
const OTHER: [&str; 12] = ["", " 7", "7 ", "1.5", "1e3", "0x10", "1_000", "true", "text", "ä", "NaN", "١"];

fn refused(text: &str) -> (Vec<Frame>, Frame) {
    (vec![Frame::text(text)], Frame::text(format!("not decoded: Text({text:?})")))
}

fn taken(text: &str, back: &str) -> (Vec<Frame>, Frame) {
    (vec![Frame::text(text)], Frame::text(back))
}

/// What a type of whole numbers makes of everything.
fn integers(least: i128, most: i128) -> Samples {
    let whole = WHOLE.iter().map(|&(text, value)| {
        if (least..=most).contains(&value) { taken(text, &value.to_string()) } else { refused(text) }
    });
    whole.chain(OTHER.into_iter().map(refused)).chain([taken("1", "1")]).collect()
}

/// What a float makes of its own texts and of others.
fn floats(own: &[(&str, &str)]) -> Samples {
    let mut samples: Samples = own.iter().map(|(text, back)| taken(text, back)).collect();
    samples.extend(["", " 7", "7 ", "0,5", "0x10", "1_000", "true", "text"].map(refused));
    samples.push(taken("1.5", "1.5"));
    samples
}

fn rest(takes: &[&str], refuses: &[&str]) -> Samples {
    let takes = takes.iter().map(|text| taken(text, text));
    takes.clone().chain(refuses.iter().map(|text| refused(text))).chain(takes).collect()
}

fn everything_as_it_is() -> Samples {
    WHOLE.iter().map(|(text, _)| *text).chain(OTHER).map(|text| taken(text, text)).collect()
}

/// Each type on the server and on the client.
macro_rules! cross {
    ($($row:ident: $samples:expr;)*) => {
        fn cells() -> Vec<Cell> {
            vec![$(
                on_server::<$row::Plain>(concat!(stringify!($row), " on the server"), "/echo", $samples),
                on_client(concat!(stringify!($row), " on the client"), $row::ClientPlain, $samples),
            )*]
        }
    };
}

cross! {
    int8: integers(-128, 127);
    int16: integers(-32_768, 32_767);
    int32: integers(-2_147_483_648, 2_147_483_647);
    int64: integers(-9_223_372_036_854_775_808, 9_223_372_036_854_775_807);
    uint8: integers(0, 255);
    uint16: integers(0, 65_535);
    uint32: integers(0, 4_294_967_295);
    uint64: integers(0, 18_446_744_073_709_551_615);
    float32: floats(&[
        ("7", "7"),
        ("007", "7"),
        ("-128", "-128"),
        ("16777217", "16777216"),
        ("4294967296", "4294967300"),
        ("1e3", "1000"),
        ("1e39", "inf"),
        (".5", "0.5"),
        ("NaN", "NaN"),
    ]);
    float64: floats(&[
        ("7", "7"),
        ("-128", "-128"),
        ("16777217", "16777217"),
        ("9007199254740993", "9007199254740992"),
        ("1e3", "1000"),
        ("1e309", "inf"),
        ("NaN", "NaN"),
    ]);
    boolean: rest(&["true", "false"], &["", "True", "TRUE", "1", "0", "true ", "text", "1.5"]);
    character: rest(&["7", "ä", "x"], &["", "-1", "127", "1.5", "true", "ae"]);
    string: everything_as_it_is();
    shared_text: everything_as_it_is();
    borrowed_str: everything_as_it_is();
    message: everything_as_it_is();
    text_reader: everything_as_it_is();
    decoded_from_text: everything_as_it_is();
    json: rest(&[r#"[1,"a"]"#], &["", "7", "true", "[1]", r#"[1.5,"a"]"#, r#"["a",1]"#, "[1,\"a\"] x"]);
}

#[tokio::test]
async fn a_text_is_taken_by_every_type_that_it_fits() {
    table(cells()).await;
}
