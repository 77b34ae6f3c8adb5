//! [`Allowance`]: how much memory the process may have, and how much of it is for queues.

use std::fmt;
use std::fs;

use crate::settings::Settings;

/// What an idle connection needs, bytes; the kernel's socket included.
const IDLE: usize = 8 * 1024;

/// How many bytes queues may hold, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    why: Why,
    /// `None`: as many as they like.
    pub(crate) bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Set,
    Unknown,
    Computed { memory: usize, of: &'static str, connections: usize },
}

impl Allowance {
    /// What the settings say, or what this machine has.
    pub(crate) fn of(settings: &Settings) -> Self {
        match settings.max_queue_memory {
            Some(0) => Allowance { why: Why::Set, bytes: None },
            Some(bytes) => Allowance { why: Why::Set, bytes: Some(bytes) },
            None => Self::computed(settings, memory(|path| fs::read_to_string(path).ok())),
        }
    }

    /// Half of what there is, less what idle connections need; at least an eighth.
    fn computed(settings: &Settings, memory: Option<(usize, &'static str)>) -> Self {
        let Some((memory, of)) = memory else { return Allowance { why: Why::Unknown, bytes: None } };
        let connections = settings.max_connections;
        let idle = connections.saturating_mul(IDLE);
        let bytes = (memory / 2).saturating_sub(idle).max(memory / 8);
        Allowance { why: Why::Computed { memory, of, connections }, bytes: Some(bytes) }
    }
}

/// The arithmetic, for the log.
impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.why, self.bytes) {
            (Why::Set, None) => f.write_str("queues may hold any number of bytes (`max_queue_memory` = 0)"),
            (Why::Set, Some(bytes)) => write!(f, "queues may hold {} (`max_queue_memory`)", Size(bytes)),
            (Why::Computed { memory, of, connections }, Some(bytes)) => write!(
                f,
                "queues may hold {}: half of the {}'s {}, less {} for {connections} idle connections, at least an eighth; from \
                 four fifths of it on handshakes are refused",
                Size(bytes),
                of,
                Size(memory),
                Size(connections.saturating_mul(IDLE)),
            ),
            _ => f.write_str(
                "queues may hold any number of bytes: this system does not tell how much memory there is",
            ),
        }
    }
}

/// Bytes, for people.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut size, mut units) = (self.0 as f64 / 1024.0, ["KiB", "MiB", "GiB"].iter());
        let mut unit = units.next();
        while size >= 1024.0
            && let Some(larger) = units.next()
        {
            (size, unit) = (size / 1024.0, Some(larger));
        }
        write!(f, "{size:.1} {}", unit.unwrap_or(&"KiB"))
    }
}

/// How much memory the process may have, and whose it is: the least of its control groups and the machine.
fn memory(read: impl Fn(&str) -> Option<String>) -> Option<(usize, &'static str)> {
    let machine = read("/proc/meminfo").and_then(|text| meminfo(&text));
    let group = control_group(&read);
    match (machine, group) {
        // A limit that is larger than the machine is none.
        (Some(machine), Some(group)) if group >= machine => Some((machine, "machine")),
        (_, Some(group)) => Some((group, "control group")),
        (Some(machine), None) => Some((machine, "machine")),
        (None, None) => None,
    }
}

/// All memory, bytes (`proc_meminfo(5)`).
fn meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// The least limit of the process's control groups, version 2 or 1 (`cgroups(7)`).
fn control_group(read: &impl Fn(&str) -> Option<String>) -> Option<usize> {
    let groups = read("/proc/self/cgroup")?;
    let mut least: Option<usize> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next()? {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // What is above a group holds for it too. In a container the path may be one that only the host knows: then the root is ours.
        let mut path = parts.next()?.trim_end_matches('/');
        loop {
            let limit = read(&format!("{root}{path}/{file}")).and_then(|text| text.trim().parse().ok());
            least = [least, limit].into_iter().flatten().min();
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                None => break,
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    #[test]
    fn memory_is_the_least_of_groups_and_machine() {
        type File = (&'static str, &'static str);
        type Case = (Vec<File>, &'static [File], Option<(usize, &'static str)>);
        let meminfo = ("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1 kB\n");
        let two = ("/proc/self/cgroup", "0::/a/b\n");
        let one = ("/proc/self/cgroup", "3:cpu:/x\n5:blkio,memory:/c\n");
        let table: Vec<Case> = vec![
            (vec![], &[], None),
            (vec![meminfo], &[], Some((16 * GIB, "machine"))),
            (vec![meminfo, two], &[("/sys/fs/cgroup/a/b/memory.max", "max\n")], Some((16 * GIB, "machine"))),
            (
                vec![meminfo, two],
                &[
                    ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
                    ("/sys/fs/cgroup/a/memory.max", "1073741824\n"),
                    ("/sys/fs/cgroup/memory.max", "2147483648\n"),
                ],
                Some((GIB, "control group")),
            ),
            (
                vec![meminfo, ("/proc/self/cgroup", "0::/\n")],
                &[("/sys/fs/cgroup/memory.max", "1073741824\n")],
                Some((GIB, "control group")),
            ),
            (
                vec![meminfo, one],
                &[("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n")],
                Some((16 * GIB, "machine")),
            ),
            (
                vec![meminfo, one],
                &[("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1073741824\n")],
                Some((GIB, "control group")),
            ),
            (vec![("/proc/meminfo", "nonsense"), ("/proc/self/cgroup", "x\n::")], &[], None),
        ];
        for (files, more, expected) in table {
            let read = |path: &str| {
                let found = files.iter().chain(more).find(|(name, _)| *name == path)?;
                Some(found.1.to_owned())
            };
            assert_eq!(memory(read), expected, "{files:?} {more:?}");
        }
    }

    #[test]
    fn the_arithmetic_is_told() {
        let settings = Settings::default();
        let computed = Allowance::computed(&settings, Some((16 * GIB, "machine")));
        assert_eq!(computed.bytes, Some(8 * GIB - 16 * 1024 * IDLE));
        assert_eq!(
            computed.to_string(),
            "queues may hold 7.9 GiB: half of the machine's 16.0 GiB, less 128.0 MiB for 16384 idle connections, at least an \
             eighth; from four fifths of it on handshakes are refused"
        );
        let small = Allowance::computed(&settings, Some((GIB / 4, "control group")));
        assert_eq!(small.bytes, Some(GIB / 32));
        assert_eq!(Allowance::computed(&settings, None).bytes, None);
        let set = |bytes| Allowance::of(&Settings { max_queue_memory: Some(bytes), ..Settings::default() });
        assert_eq!(set(5 << 20).to_string(), "queues may hold 5.0 MiB (`max_queue_memory`)");
        assert_eq!((set(0).bytes, set(1000).bytes), (None, Some(1000)));
    }
}
