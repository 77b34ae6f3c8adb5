//! `openssl s_client`, which we did not write, as a client of our server: it speaks TLS 1.2 and 1.3 with it, and sees `close_notify`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::authority::Authority;
use super::serve_echo;
use crate::support::{Directory, close, soon, text, upgrade};

#[tokio::test]
async fn openssl_sees_both_closing_handshakes() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    let directory = Directory::new().with("ca.pem", &authority.pem());
    for version in ["tls1_2", "tls1_3"] {
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &server.local_addr().to_string(), &format!("-{version}")])
            .args(["-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error"])
            .args(["-alpn", "http/1.1", "-msg", "-ign_eof", "-CAfile"])
            .arg(directory.file("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this needs the program `openssl`: `tests/install openssl` installs it");
        let mut input = client.stdin.take().unwrap();
        let said = [upgrade("/echo", &[]).as_bytes(), &text("by openssl"), &close(4001)].concat();
        soon("writing", input.write_all(&said)).await.unwrap();
        // It ends when the server has closed, not when its input does.
        let output = soon("openssl", client.wait_with_output()).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("Verification: OK"), "{version}: {shown}");
        assert!(shown.contains("ALPN protocol: http/1.1"), "{version}: {shown}");
        let find = |bytes: &[u8]| output.stdout.windows(bytes.len()).position(|window| window == bytes);
        let (answer, echo) = (find(b"HTTP/1.1 101 "), find(b"\x81\x0aby openssl"));
        let (closed, notify) =
            (find(b"\x88\x02\x0f\xa1"), find(b"Alert [length 0002], warning close_notify"));
        let order = [answer, echo, closed, notify];
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{version}: {order:?} in {shown}");
        // What came, not what it sent: the first line that tells of it.
        let line = shown.lines().find(|line| line.contains("warning close_notify")).unwrap();
        assert!(line.starts_with("<<<"), "{version}: {shown}");
    }
}
