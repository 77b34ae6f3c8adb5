//! The page about Jakarta WebSocket (`docs/jakarta.md`) is whole and true as far as a program can see: each promise stands there once, with a
//! status that there is; each test that it names exists; and its sums are right. Of the page about clusters (`docs/cluster.md`) too, the tests
//! that it names exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The groups of numbers, and how many there are in each.
const PROMISES: &[(&str, usize)] = &[
    ("SES", 34),
    ("REM", 10),
    ("BAS", 9),
    ("ASY", 12),
    ("MH", 12),
    ("OM", 18),
    ("OR", 10),
    ("MX", 5),
    ("LC", 11),
    ("CD", 16),
    ("PP", 9),
    ("SE", 9),
    ("CF", 7),
    ("HS", 9),
    ("DP", 9),
    ("CL", 17),
    ("EX", 3),
    ("EE", 5),
];
const PAINS: usize = 24;
const CHOICES: usize = 15;

const STATUSES: &[&str] = &["supported", "different", "not yet", "no meaning"];

/// One row of a table, cell by cell.
type Row = Vec<String>;

/// The groups of the compatibility kit: letter, what it tests, how many tests it has, to which modules it was ported.
fn groups(page: &str) -> Vec<Row> {
    let is_letter =
        |cell: &str| cell.len() == 1 && cell.starts_with(|letter: char| letter.is_ascii_uppercase());
    cells(page).into_iter().filter(|row| is_letter(&row[0])).collect()
}

/// All rows whose first cell is a number such as `SES-14` or `A3`.
fn rows(page: &str) -> Vec<Row> {
    let is_number = |cell: &str| {
        let digits = cell.trim_start_matches(|sign: char| sign.is_ascii_uppercase());
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        digits.len() < cell.len() && !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    cells(page).into_iter().filter(|row| is_number(&row[0])).collect()
}

/// All rows of all tables.
fn cells(page: &str) -> Vec<Row> {
    let lines = page.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn page() -> String {
    read(Path::new("../endpoint-runtime/docs/jakarta.md"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The numbers that a page must have, in its order.
fn numbers() -> Vec<String> {
    let promises = PROMISES
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}-{number:02}")));
    let pains = (1..=PAINS).map(|number| format!("P-{number:02}"));
    let choices = (1..=CHOICES).map(|number| format!("A{number}"));
    promises.chain(pains).chain(choices).collect()
}

fn is_promise(number: &str) -> bool {
    PROMISES.iter().any(|(group, _)| number.strip_prefix(group).is_some_and(|rest| rest.starts_with('-')))
}

#[test]
fn every_number_stands_there_once_and_in_order() {
    let found: Vec<_> = rows(&page()).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(found, numbers());
}

/// The status of a promise, and that there is a test where there must be one.
#[test]
fn every_promise_has_a_status_and_what_is_there_is_tested() {
    let mut wrong = Vec::new();
    for row in rows(&page()) {
        let (number, columns) = (&row[0], if is_promise(&row[0]) { 5 } else { 4 });
        if row.len() != columns || row.iter().any(String::is_empty) {
            wrong.push(format!("{number}: {} cells, or empty ones", row.len()));
            continue;
        }
        let tested = row[columns - 1] != "-";
        let must_be = if is_promise(number) {
            if !STATUSES.contains(&row[2].as_str()) {
                wrong.push(format!("{number}: `{}` is no status", row[2]));
            }
            matches!(row[2].as_str(), "supported" | "different")
        } else {
            // What is not there cannot be shown.
            !row[2].starts_with("Not yet")
        };
        if tested != must_be {
            wrong.push(format!("{number}: tested: {tested}, must be: {must_be}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_sums_are_right() {
    let page = page();
    let mut sums = BTreeMap::<String, usize>::new();
    for row in rows(&page).into_iter().filter(|row| is_promise(&row[0])) {
        *sums.entry(row[2].clone()).or_default() += 1;
    }
    let all: usize = sums.values().sum();
    let [supported, different, not_yet, no_meaning] =
        [0, 1, 2, 3].map(|status: usize| sums.get(STATUSES[status]).copied().unwrap_or_default());
    let sentence = format!(
        "Of {all} promises {supported} are supported, {different} are different, {not_yet} are not yet there, and {no_meaning} have no meaning."
    );
    assert!(page.contains(&sentence), "the page must say: {sentence}");
}

/// What engines do to their users: numbered in their own table.
fn traps() -> Vec<Row> {
    let page = cells(&read(Path::new("../endpoint-runtime/docs/cluster.md")));
    page.into_iter().filter(|row| row.len() == 4 && row[0].parse::<u8>().is_ok()).collect()
}

#[test]
fn every_trap_has_its_tests() {
    let traps = traps();
    for number in [1, 2, 3, 4, 5, 6, 7, 12] {
        let of_number = traps.iter().filter(|row| row[0] == number.to_string());
        assert_eq!(of_number.filter(|row| row[3].contains("`cluster::")).count(), 1, "{number}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    let mut sources = Sources::default();
    for row in rows(&page()).into_iter().chain(traps()) {
        let Some(cell) = row.last().filter(|cell| *cell != "-") else { continue };
        for name in cell.split(", ") {
            let known = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            if !known.is_some_and(|name| sources.have(name)) {
                missing.push(format!("{}: {name}", row[0]));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The sources of tests, as they were read.
#[derive(Default)]
struct Sources(BTreeMap<PathBuf, String>);

impl Sources {
    /// Whether there is a test of this name: `target::module::function`, `ui::file`, or `endpoint_runtime::module::function`.
    fn have(&mut self, name: &str) -> bool {
        if let Some(file) = name.strip_prefix("ui::") {
            return Path::new("ui").join(format!("{}.rs", file.replace("::", "/"))).exists();
        }
        let Some((module, function)) = name.rsplit_once("::") else { return false };
        let file = match module.strip_prefix("endpoint_runtime::") {
            Some(module) => Path::new("../endpoint-runtime/src").join(module.replace("::", "/")),
            None => Path::new("tests").join(module.replace("::", "/")),
        }
        .with_extension("rs");
        if !file.exists() {
            return false;
        }
        let source = self.0.entry(file).or_insert_with_key(|file| read(file));
        has_test(source, function)
    }
}

/// Whether the source has a function of this name with `#[test]` or `#[tokio::test]` above it, or one that a macro of it makes.
fn has_test(source: &str, function: &str) -> bool {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next();
            if is_test && name == Some(function) {
                return true;
            }
            is_test = false;
        }
    }
    false
}

#[test]
fn every_group_of_the_kit_was_ported_to_a_module() {
    let page = page();
    let groups = groups(&page);
    let letters: String = groups.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(letters, "ABCDEFGHIJKLMNOPQRST");
    let counts: Vec<usize> = groups.iter().map(|row| row[2].parse().unwrap_or_default()).collect();
    let (platform, kit) = counts.split_last().unwrap_or((&0, &[]));
    let sentence =
        format!("the kit of 2.3, {} tests, and {platform} more of the platform", kit.iter().sum::<usize>());
    assert!(page.contains(&sentence), "the page must say: {sentence}");
    let main = read(Path::new("tests/jakarta/main.rs"));
    for row in &groups {
        for module in row[3].split(", ") {
            let name = module.trim_matches('`');
            let is_there = main.lines().any(|line| line == format!("mod {name};"));
            let says_so = read(&Path::new("tests/jakarta").join(name).with_extension("rs"));
            let says_so = says_so.lines().next().is_some_and(|line| {
                line.starts_with("//! Group") && line.split([' ', ',', ':']).any(|word| word == row[0])
            });
            assert!(
                is_there && says_so,
                "{}: {module} is no module, or does not say that it is of this group",
                row[0]
            );
        }
    }
}

/// That what looks for tests does not find whatever it is asked for.
#[test]
fn what_does_not_exist_is_not_found() {
    let mut sources = Sources::default();
    for there in [
        "session::registry::rooms",
        "session::replies::every_message_form_is_sent",
        "ui::two_on_open",
        "ui::pass::returns",
        "endpoint_runtime::session::id::an_id_is_read_back",
    ] {
        assert!(sources.have(there), "{there}");
    }
    for not_there in [
        "session::registry::room",
        "session::registry::ask",
        "session::nowhere::rooms",
        "rooms",
        "ui::no_mistake",
        "endpoint_runtime::session::id::new",
    ] {
        assert!(!sources.have(not_there), "{not_there}");
    }
    let table =
        "| | a | |\n|---|---|---|\n| SES-01 | x | supported |\n| A3 | y | - |\n| SES | z | - |\nno row";
    assert_eq!(rows(table), [["SES-01", "x", "supported"], ["A3", "y", "-"]]);
}
