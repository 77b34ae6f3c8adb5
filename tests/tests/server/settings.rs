//! Settings of a program: from `endpoint.toml`, from `ENDPOINT_*`, and from its builder, of which the later wins.

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{Directory, Program, closed, connect, says_back};

const FILE: &str = "bind = \"127.0.0.1:0\"\nmax_message_size = 16\n";

/// What one byte more than so many costs.
async fn limit_is(program: &mut Program, bytes: usize) {
    let address = program.ready().await;
    let mut client = connect(address, "/echo").await;
    says_back(&mut client, &"x".repeat(bytes)).await;
    client.send(Frame::text("x".repeat(bytes + 1))).await.unwrap();
    let (code, text) = closed(client).await.unwrap();
    assert_eq!(code, 1009);
    assert!(text.contains(&bytes.to_string()) && text.contains("max_message_size"), "{text}");
}

#[tokio::test]
async fn the_file_in_the_working_directory_is_read() {
    let directory = Directory::new().with("endpoint.toml", FILE);
    limit_is(&mut Program::run(directory.path(), &[], &[]), 16).await;
}

#[tokio::test]
async fn a_variable_wins_over_the_file() {
    let directory = Directory::new().with("endpoint.toml", FILE);
    limit_is(&mut Program::run(directory.path(), &[], &[("ENDPOINT_MAX_MESSAGE_SIZE", "1KiB")]), 1024).await;
}

#[tokio::test]
async fn the_builder_wins_over_all() {
    // Neither address of the file and of the environment can be listened on.
    let directory =
        Directory::new().with("endpoint.toml", "bind = [\"192.0.2.1:1\"]\nmax_message_size = 16\n");
    let variables = [("ENDPOINT_MAX_MESSAGE_SIZE", "1KiB"), ("ENDPOINT_BIND", "192.0.2.2:1")];
    let arguments = ["--bind", "127.0.0.1:0", "--max-message-size", "100"];
    limit_is(&mut Program::run(directory.path(), &arguments, &variables), 100).await;
}

#[tokio::test]
async fn another_file_may_be_named() {
    let directory = Directory::new().with("endpoint.toml", "nonsense").with("other.toml", FILE);
    limit_is(&mut Program::run(directory.path(), &[], &[("ENDPOINT_CONFIG", "other.toml")]), 16).await;
}

/// What the program says instead of serving.
async fn fails(directory: &Directory, variables: &[(&str, &str)]) -> String {
    let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], variables);
    assert_eq!(program.line().await, None, "it serves");
    let (status, errors) = program.ended().await;
    assert!(!status.success());
    errors
}

#[tokio::test]
async fn a_typo_names_the_key_and_the_file() {
    let directory = Directory::new().with("endpoint.toml", "\nmax_mesage_size = 16\n");
    let errors = fails(&directory, &[]).await;
    assert!(
        errors.contains(
            "endpoint.toml:2:1: `max_mesage_size` is not a setting: did you mean `max_message_size`?"
        ),
        "{errors}"
    );
}

#[tokio::test]
async fn a_typo_names_the_variable() {
    let errors = fails(&Directory::new(), &[("ENDPOINT_MAX_MESAGE_SIZE", "16")]).await;
    assert!(
        errors.contains(
            "`ENDPOINT_MAX_MESAGE_SIZE` is not a setting: did you mean `ENDPOINT_MAX_MESSAGE_SIZE`?"
        ),
        "{errors}"
    );
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let directory = Directory::new()
        .with("endpoint.toml", "ping_interval = \"soon\"\nmax_headers = 1\ncolour = \"red\"\n");
    let errors = fails(&directory, &[("ENDPOINT_DRAIN_BATCH", "many"), ("ENDPOINT_ORIGINS", "")]).await;
    for words in [
        "endpoint.toml:1:17: `ping_interval`",
        "endpoint.toml:2:15: `max_headers`",
        "endpoint.toml:3:1: `colour` is not a setting",
        "ENDPOINT_DRAIN_BATCH: \"many\" is not a count",
        "ENDPOINT_ORIGINS: the value is empty",
    ] {
        assert!(errors.contains(words), "{words} in {errors}");
    }
}

#[tokio::test]
async fn a_named_file_must_exist() {
    let errors = fails(&Directory::new(), &[("ENDPOINT_CONFIG", "nowhere.toml")]).await;
    assert!(errors.contains("ENDPOINT_CONFIG: cannot read nowhere.toml"), "{errors}");
}
