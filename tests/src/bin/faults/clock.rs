//! The clock of one node is set: an hour on, an hour back. libfaketime does that to one process; the time that only goes on stays as it is.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use endpoint_tests::redis_server::RedisServer;
use tokio::process::Command;
use tokio::time::sleep;

use crate::Pace;
use crate::listener::{Account, Event, Listener, Memory};
use crate::node::Node;
use crate::publisher::Publisher;
use crate::scene::Check;

/// How long each time lasts: longer than a node lives of which nothing is heard.
const LASTS: Duration = Duration::from_secs(11);

const HOUR: i64 = 3600;

/// A file that says what time it is for a process, which looks there every second.
struct Watch(PathBuf);

impl Watch {
    fn new() -> Self {
        let file = std::env::temp_dir().join(format!("endpoint-clock-{}", std::process::id()));
        let watch = Watch(file);
        watch.set(0);
        watch
    }

    fn set(&self, seconds: i64) {
        fs::write(&self.0, format!("{seconds:+}s\n")).expect("our own file");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What is loaded into a process to fake its clock, as `faketime` itself does it.
async fn library() -> Option<String> {
    let said = Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output().await;
    let path = String::from_utf8(said.ok()?.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then_some(path)
}

pub(crate) async fn jumps(_: Pace) -> Vec<Check> {
    let Some(library) = library().await else {
        return vec![Check::figure("not run: no faketime (`tests/install faketime`)", "-")];
    };
    let (redis, watch) = (RedisServer::start().await, Watch::new());
    let faked: [(&str, &OsStr); 4] = [
        ("LD_PRELOAD", library.as_ref()),
        ("FAKETIME_TIMESTAMP_FILE", watch.0.as_os_str()),
        ("FAKETIME_CACHE_DURATION", "1".as_ref()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
    ];
    let url = redis.url();
    let nodes = [
        Node::start(&url, &[]).await,
        Node::start_with(&url, &[], &faked).await,
        Node::start(&url, &[]).await,
    ];
    for node in &nodes {
        node.knows(nodes.len()).await;
    }
    let [right, wrong, other] = &nodes;
    let (mut listeners, mut publishers) = (Vec::new(), Vec::new());
    for node in [wrong, other] {
        for path in ["/kept/busy", "/plain/busy", "/plain/soon"] {
            listeners.push(match path.starts_with("/kept") {
                true => Listener::wire(node, path, Memory::default()).await,
                false => Listener::plain(node, path).await,
            });
        }
    }
    for (node, name) in [(right, "right"), (wrong, "wrong")] {
        for room in ["kept", "plain"] {
            let to = format!("room:{room}/busy");
            publishers.push(Publisher::start(node, &to, &format!("{room}-{name}"), 50, true).await);
        }
    }
    let mut leaver = Listener::wire(wrong, "/kept/own", Memory::default()).await;
    let (mut deaths, mut degraded, mut soon, mut resumed) = (0, 0, 0, 0);
    let (mut first, mut last) = (0, 0);
    let times = [HOUR, -HOUR, 0];
    for set in times {
        watch.set(set);
        let begun = Instant::now();
        while begun.elapsed() < LASTS {
            for node in &nodes {
                let known = node.ask("nodes").await;
                deaths += usize::from(known.as_array().is_none_or(|all| all.len() != nodes.len()));
                degraded += usize::from(node.ask("state").await["connected"] != true);
            }
            // These are of use for two seconds only.
            for (node, name) in [(right, "right"), (wrong, "wrong")] {
                let sent = node.ask(&format!("expiring plain/soon 2000 {name} {soon}")).await;
                assert!(sent["handed"] == true, "{sent}");
            }
            soon += 1;
            sleep(Duration::from_millis(100)).await;
        }
        let off = seconds(&wrong.ask("clock").await["seconds"]) - now();
        (first, last) = (first.max(off), last.min(off));
        // Sessions go on, there and back.
        let to = if soon % 2 == 0 { other } else { wrong };
        leaver = Listener::wire(to, "/kept/own", leaver.memory()).await;
        resumed += usize::from(leaver.has(|event| matches!(event, Event::Session { resumed: true, .. })));
    }
    let mut checks = vec![
        Check::at_least("its clock was on by, s", first as usize, HOUR as usize - 10),
        Check::at_least("its clock was back by, s", -last as usize, HOUR as usize - 10),
        Check::zero("nodes taken for dead", deaths),
        Check::zero("nodes without a way to others", degraded),
        Check::exactly("sessions resumed, of each time", resumed, times.len()),
    ];
    let mut published = Vec::new();
    for publisher in publishers {
        published.push(publisher.stop().await);
    }
    let (mut lost, mut wrong, mut expired) = (0, 0, 0);
    for (number, listener) in listeners.iter().enumerate() {
        listener.settled(Duration::from_secs(1)).await;
        let account = Account::of(&listener.events());
        wrong += account.duplicates + account.disorder + account.silent_gaps + account.told;
        let mine = published
            .iter()
            .filter(|published| published.name.starts_with(["kept-", "plain-", "soon-"][number % 3]));
        lost += mine.map(|published| published.lost(&account.received)).sum::<usize>();
        if number % 3 == 2 {
            expired += 2 * soon - account.received.len();
        }
    }
    checks.extend([
        Check::figure("messages", published.iter().map(|published| published.acked.len()).sum::<usize>()),
        Check::zero("lost", lost),
        Check::zero("doubled, out of order, missing", wrong),
        Check::figure("messages of use for 2 s", 2 * soon),
        Check::zero("dropped of those", expired),
    ]);
    checks
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn seconds(value: &serde_json::Value) -> i64 {
    value.as_i64().expect("seconds")
}
