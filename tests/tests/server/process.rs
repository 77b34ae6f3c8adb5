//! A program of its own: what `serve` adds to `start`, seen from outside the process.

use super::support::{Directory, Program, closed, connect, says_back};

/// It writes its log to the standard error output if the program has set up none, and stops gracefully when it is asked to.
#[tokio::test]
async fn serve_logs_and_stops_gracefully_at_a_signal() {
    for signal in ["TERM", "INT"] {
        let directory = Directory::new();
        let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &[]);
        let address = program.ready().await;
        let mut client = connect(address, "/echo").await;
        says_back(&mut client, "hello").await;
        program.signal(signal).await;
        assert_eq!(closed(client).await, Some((1001, "the server is shutting down".into())), "{signal}");
        program.until("closed 1001 the server is shutting down").await;
        program.until("returned").await;
        let (status, errors) = program.ended().await;
        assert!(status.success(), "{signal}: {status}");
        let line =
            errors.lines().find(|line| line.contains("path=\"/echo\"")).unwrap_or_else(|| panic!("{errors}"));
        for word in
            ["INFO", "endpoint=\"Echo\"", "scope=\"connection\"", "origins=same origin", "src/bin/served.rs:"]
        {
            assert!(line.contains(word), "{word} in {line}");
        }
        for line in [format!("listening address={address}"), "shutting down".into(), "stopped".into()] {
            assert!(errors.contains(&line), "{line} in {errors}");
        }
        assert!(!errors.contains("DEBUG"), "{errors}");
        assert!(!errors.contains('\x1b'), "no colours where nobody sees them: {errors:?}");
    }
}

/// Nothing lies between a program that is ready and one that stops gracefully.
#[tokio::test]
async fn a_signal_right_after_the_start_is_no_sudden_death() {
    let directory = Directory::new();
    for _ in 0..10 {
        let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &[]);
        program.ready().await;
        program.signal("TERM").await;
        program.until("returned").await;
        assert!(program.ended().await.0.success());
    }
}

/// `RUST_LOG` chooses.
#[tokio::test]
async fn rust_log_chooses_what_serve_logs() {
    let directory = Directory::new();
    let mut errors = Vec::new();
    for choice in ["endpoint_runtime=debug", "off"] {
        let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &[("RUST_LOG", choice)]);
        let mut client = connect(program.ready().await, "/echo").await;
        says_back(&mut client, "hello").await;
        program.signal("TERM").await;
        closed(client).await;
        errors.push(program.ended().await.1);
    }
    assert!(
        errors[0].contains("DEBUG") && errors[0].contains("accepted") && errors[0].contains("closed"),
        "{}",
        errors[0]
    );
    assert_eq!(errors[1], "");
}

/// An error of the start is what `main` returns: all of it, as people read it.
#[tokio::test]
async fn a_start_that_fails_ends_the_program_with_all_problems() {
    let directory = Directory::new();
    let mut program = Program::run(directory.path(), &["--bind", "8080", "--max-message-size", "0"], &[]);
    assert_eq!(program.line().await, None);
    let (status, errors) = program.ended().await;
    assert_eq!(status.code(), Some(1));
    for words in
        ["cannot deploy, 2 problems:", "`bind`: \"8080\" is not where one can listen", "`max_message_size`"]
    {
        assert!(errors.contains(words), "{words} in {errors}");
    }
}

/// Outside of handlers it is the only server's; with two there is no telling.
#[tokio::test]
async fn sessions_current_is_the_only_servers() {
    let directory = Directory::new();
    let mut program = Program::run(directory.path(), &["current"], &[]);
    assert_eq!(program.line().await.as_deref(), Some("none: no registry"));
    let client = connect(program.ready().await, "/echo").await;
    for line in ["one: 1 session", "two: no registry", "one again: 1 session"] {
        program.until(line).await;
    }
    assert_eq!(closed(client).await.unwrap().0, 1001);
    program.until("none again: no registry").await;
    assert!(program.ended().await.0.success());
}
