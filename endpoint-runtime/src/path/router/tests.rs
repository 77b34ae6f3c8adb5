//! The test vectors of Jakarta WebSocket 3.1.1 and of its TCK, our own, and a search that is too simple to be
//! wrong.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

fn router(templates: &[&'static str]) -> Router<&'static str> {
    let mut router = Router::new();
    for template in templates {
        router.insert(Template::parse(template).unwrap(), *template).unwrap();
    }
    router
}

/// The template that was found, and its variables as `name=value`, joined by spaces.
fn found(router: &Router<&'static str>, path: &str) -> Option<(&'static str, String)> {
    let found = router.find(path)?;
    let params = found.params.unwrap();
    let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some((*found.value, params.join(" ")))
}

/// Each request with the template it is for and the variables there; an empty template stands for no match.
#[track_caller]
fn check(templates: &[&'static str], requests: &[(&str, &'static str, &str)]) {
    let router = router(templates);
    for &(path, template, params) in requests {
        let expected = (!template.is_empty()).then(|| (template, params.to_owned()));
        assert_eq!(found(&router, path), expected, "{path} among {templates:?}");
    }
}

#[test]
fn a_literal_path_matches_itself_only() {
    check(
        &["/a/b"],
        &[("/a/b", "/a/b", ""), ("/a/b/", "", ""), ("/A/b", "", ""), ("/a//b", "", ""), ("/a", "", "")],
    );
    check(&["/a/b/"], &[("/a/b/", "/a/b/", ""), ("/a/b", "", ""), ("/a/b//", "", ""), ("/a/b/c", "", "")]);
    check(&["/"], &[("/", "/", ""), ("", "", ""), ("//", "", ""), ("/a", "", "")]);
}

#[test]
fn a_variable_is_one_segment_that_is_not_empty() {
    check(
        &["/a/{var}"],
        &[
            ("/a/b", "/a/{var}", "var=b"),
            ("/a/apple", "/a/{var}", "var=apple"),
            ("/a", "", ""),
            ("/a/", "", ""),
            ("/a//", "", ""),
            ("/a/b/", "", ""),
            ("/a/b/c", "", ""),
        ],
    );
    check(&["/{x}/b"], &[("//b", "", ""), ("/a/b", "/{x}/b", "x=a")]);
    check(&["/{x}/"], &[("/a/", "/{x}/", "x=a"), ("/a", "", ""), ("//", "", "")]);
}

#[test]
fn literals_are_preferred() {
    check(
        &["/a/{var}/c", "/a/b/c", "/a/{v1}/{v2}"],
        &[
            ("/a/b/c", "/a/b/c", ""),
            ("/a/d/c", "/a/{var}/c", "var=d"),
            ("/a/x/y", "/a/{v1}/{v2}", "v1=x v2=y"),
            ("/a/b/y", "/a/{v1}/{v2}", "v1=b v2=y"),
            ("/a/x/y/", "", ""),
        ],
    );
}

#[test]
fn the_left_decides() {
    check(
        &["/{v1}/d", "/b/{v2}"],
        &[("/b/d", "/b/{v2}", "v2=d"), ("/a/d", "/{v1}/d", "v1=a"), ("/a/b", "", "")],
    );
    check(&["/b/{v2}", "/{v1}/d"], &[("/b/d", "/b/{v2}", "v2=d")]);
}

#[test]
fn the_uri_matching_of_the_tck() {
    check(
        &[
            "/a",
            "/{a}",
            "/c/{d}",
            "/c/d",
            "/{c}/d",
            "/{c}/{d}",
            "/a/b/c",
            "/a/b/{c}",
            "/a/{b}/c",
            "/a/{b}/{c}",
            "/{a}/b/c",
            "/{a}/b/{c}",
            "/{a}/{b}/c",
            "/{a}/{b}/{c}",
            "/d/{e}/f",
            "/d/e/{f}",
        ],
        &[
            ("/a", "/a", ""),
            ("/b", "/{a}", "a=b"),
            ("/c/d", "/c/d", ""),
            ("/c/a", "/c/{d}", "d=a"),
            ("/a/d", "/{c}/d", "c=a"),
            ("/a/b", "/{c}/{d}", "c=a d=b"),
            ("/a/b/c", "/a/b/c", ""),
            ("/a/b/d", "/a/b/{c}", "c=d"),
            ("/a/d/c", "/a/{b}/c", "b=d"),
            ("/a/d/e", "/a/{b}/{c}", "b=d c=e"),
            ("/d/b/c", "/{a}/b/c", "a=d"),
            ("/x/b/d", "/{a}/b/{c}", "a=x c=d"),
            ("/x/y/c", "/{a}/{b}/c", "a=x b=y"),
            ("/x/y/z", "/{a}/{b}/{c}", "a=x b=y c=z"),
            ("/d/x/f", "/d/{e}/f", "e=x"),
            ("/d/e/f", "/d/e/{f}", "f=f"),
            ("/d/x/y", "/{a}/{b}/{c}", "a=d b=x c=y"),
            ("/a/c/d/e", "", ""),
        ],
    );
}

#[test]
fn a_way_that_leads_nowhere_is_left_again() {
    check(
        &["/a/{x}/c", "/{y}/b/d"],
        &[("/a/b/d", "/{y}/b/d", "y=a"), ("/a/b/c", "/a/{x}/c", "x=b"), ("/a/b/e", "", "")],
    );
    check(&["/a/{x}/c", "/a/b/d"], &[("/a/b/c", "/a/{x}/c", "x=b"), ("/a/b/d", "/a/b/d", "")]);
    check(&["/a/{x}/{y}/z", "/{*rest}"], &[("/a/b/c/d", "/{*rest}", "rest=a/b/c/d")]);
}

#[test]
fn rest_takes_all_segments_that_are_left() {
    check(
        &["/files/{*rest}", "/files/{name}", "/files/{name}/raw", "/files/index/raw"],
        &[
            ("/files", "", ""),
            ("/files/", "", ""),
            ("/files//", "", ""),
            ("/files//a", "", ""),
            ("/files/a", "/files/{name}", "name=a"),
            ("/files/a/", "/files/{*rest}", "rest=a/"),
            ("/files/a/b", "/files/{*rest}", "rest=a/b"),
            ("/files/a//b", "/files/{*rest}", "rest=a//b"),
            ("/files/a/raw", "/files/{name}/raw", "name=a"),
            ("/files/index/raw", "/files/index/raw", ""),
            ("/files/index/raw/", "/files/{*rest}", "rest=index/raw/"),
        ],
    );
    check(&["/{*all}"], &[("/", "", ""), ("/a", "/{*all}", "all=a"), ("//a", "", "")]);
}

#[test]
fn values_and_literals_are_decoded_after_the_split() {
    check(
        &["/a/{x}", "/a/{x}/{y}", "/café/{x}", "/a%2fb", "/r/{*rest}"],
        &[
            ("/a/x%2Fy", "/a/{x}", "x=x/y"),
            ("/a/%2F/%20", "/a/{x}/{y}", "x=/ y= "),
            ("/%61/b", "/a/{x}", "x=b"),
            ("/a/%2541", "/a/{x}", "x=%41"),
            ("/a/b+c", "/a/{x}", "x=b+c"),
            ("/caf%C3%A9/1", "/café/{x}", "x=1"),
            ("/caf%c3%a9/1", "/café/{x}", "x=1"),
            ("/café/1", "/café/{x}", "x=1"),
            ("/caf%E9/1", "", ""),
            ("/a%2fb", "/a%2fb", ""),
            ("/a%2Fb", "/a%2fb", ""),
            ("/a%252fb", "", ""),
            ("/r/a%2Fb/c%3F", "/r/{*rest}", "rest=a/b/c?"),
            ("/a%2Fx", "", ""),
        ],
    );
}

#[test]
fn a_value_that_cannot_be_decoded_still_matches_and_says_so() {
    let router = router(&["/a/{x}", "/r/{*rest}"]);
    for path in ["/a/%", "/a/%zz", "/a/%ff", "/r/a/%C3/b"] {
        let found = router.find(path).unwrap();
        found.params.unwrap_err();
    }
    assert!(router.find("/%zz/b").is_none());
}

#[test]
fn only_paths_are_found() {
    let router = router(&["/{x}", "/{*rest}"]);
    for path in ["", "*", "a", "a/b", "http://a/b"] {
        assert!(router.find(path).is_none(), "{path}");
    }
}

#[test]
fn the_same_path_cannot_be_deployed_twice() {
    let table = [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/{x}", "/a/{y}"),
        ("/{a}/b/{c}", "/{b}/b/{a}"),
        ("/a/{*x}", "/a/{*y}"),
        ("/café", "/caf%C3%A9"),
    ];
    for (first, second) in table {
        let mut router = router(&["/other/{x}", first]);
        let conflict = router.insert(Template::parse(second).unwrap(), "second").unwrap_err();
        assert_eq!(*conflict.value, first, "{second}");
        assert_eq!(router.find("/other/1").map(|found| *found.value), Some("/other/{x}"));
        assert!(router.deployed.iter().all(|(_, value)| *value != "second"));
    }
}

#[test]
fn templates_that_only_overlap_are_all_deployed() {
    router(&[
        "/a/b", "/a/{x}", "/a/{*x}", "/{x}/b", "/a/b/", "/a/{x}/", "/A/b", "/a/{x}/c", "/a/{y}/d", "/a%2Fb",
    ]);
}

#[test]
fn a_long_path_costs_no_more_than_the_templates_are_deep() {
    let router = router(&["/{a}/{b}/{c}/{d}/x", "/a/{b}/{c}/{d}/y", "/{a}/b/{*rest}"]);
    let path = "/a".repeat(1_000_000);
    assert!(router.find(&path).is_none());
    assert_eq!(
        found(&router, &format!("/a/b{path}")).map(|found| found.1.len()),
        Some("a=a rest=".len() + 1_999_999)
    );
}

/// One template or request, segment by segment, over an alphabet small enough that much of it matches.
fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "%61", "a%2Fb", "é", "%C3%A9"])
}

fn template() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => segment().prop_map(Some), 2 => Just(None)];
    let end = prop_oneof![4 => Just(""), 1 => Just("/"), 1 => Just("/{*rest}")];
    (prop::collection::vec(part, 0..4), end).prop_map(|(parts, end)| {
        let mut template: String = parts
            .iter()
            .enumerate()
            .map(|(at, part)| part.map_or_else(|| format!("/{{v{at}}}"), |text| format!("/{text}")))
            .collect();
        template.push_str(if template.is_empty() && end.is_empty() { "/" } else { end });
        template
    })
}

fn request() -> impl Strategy<Value = String> {
    let raw = prop_oneof![12 => segment(), 1 => Just(""), 1 => Just("%"), 1 => Just("%FF")];
    prop::collection::vec(raw, 1..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// Decodes with the help of another decoder, whose leniency must be ruled out first.
fn plain(raw: &str) -> Option<String> {
    let digits =
        |escape: &str| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    raw.split('%').skip(1).all(digits).then(|| percent_decode_str(raw).decode_utf8().ok())?.map(Into::into)
}

/// Whether a template matches, how little literal it is from left to right, and the raw values of its
/// variables.
fn naive<'p>(template: &str, request: &'p str) -> Option<(Vec<u8>, Vec<&'p str>)> {
    let (mut ranks, mut values) = (Vec::new(), Vec::new());
    let mut left = request.strip_prefix('/');
    for part in template.split('/').skip(1) {
        let path = left?;
        let segment = path.split('/').next()?;
        if part.starts_with('{') && segment.is_empty() {
            return None;
        }
        if part.starts_with("{*") {
            ranks.push(2);
            values.push(path);
            return Some((ranks, values));
        }
        if part.starts_with('{') {
            ranks.push(1);
            values.push(segment);
        } else if plain(part) == plain(segment) {
            ranks.push(0);
        } else {
            return None;
        }
        left = path.get(segment.len() + 1..);
    }
    left.is_none().then_some((ranks, values))
}

proptest! {
    #[test]
    fn finds_what_comparing_all_templates_finds(
        templates in prop::collection::vec(template(), 1..24),
        request in request(),
    ) {
        let mut router = Router::new();
        let mut deployed: Vec<String> = Vec::new();
        for text in templates {
            let template = Template::parse(&text).unwrap();
            let form = template.normal_form();
            let equivalent = |other: &&String| Template::parse(other).unwrap().normal_form() == form;
            let twin = deployed.iter().find(equivalent).cloned();
            match router.insert(template, text.clone()) {
                Ok(()) => prop_assert_eq!(twin, None),
                Err(conflict) => {
                    prop_assert_eq!(twin.as_ref(), Some(conflict.value));
                    continue;
                }
            }
            deployed.push(text);
        }

        let admitted = |text: &String| text.len().is_multiple_of(2);
        let mut among = Router::new();
        for text in deployed.iter().filter(|text| admitted(text)) {
            prop_assert!(among.insert(Template::parse(text).unwrap(), text.clone()).is_ok());
        }
        let found = router.find_among(&request, admitted).map(|found| (found.value, format!("{:?}", found.params)));
        prop_assert_eq!(among.find(&request).map(|found| (found.value, format!("{:?}", found.params))), found);

        let matching = deployed.iter().filter_map(|text| Some((naive(text, &request)?, text)));
        match (matching.min(), router.find(&request)) {
            (None, None) => {}
            (Some(((_, values), text)), Some(found)) => {
                prop_assert_eq!(text, found.value);
                let values: Option<Vec<_>> = values.into_iter().map(plain).collect();
                let params = found.params.ok();
                let params: Option<Vec<_>> =
                    params.as_ref().map(|params| params.iter().map(|(_, value)| value.to_owned()).collect());
                prop_assert_eq!(values, params);
            }
            (naive, found) => {
                prop_assert!(false, "naive: {:?}, found: {:?}", naive, found.map(|found| found.value));
            }
        }
    }
}
