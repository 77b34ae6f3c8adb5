//! What happens in the server at once or not at all: scripts in its language, Lua.
//!
//! Each epoch belongs to one run of one server, its owner. A server that has come back without its newest data, or a replica that has
//! taken over without it, would give the same offsets again, to other messages. So a script that finds another owner in the hash than the
//! one it is called with, which is the server that runs it, begins another epoch. What is kept is there all the same, at its offsets: it is noted
//! from which epochs, and from which of their offsets, the history goes on.

use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::link::Link;

/// A script, called by its hash, which is less to send.
pub(super) struct Script {
    code: String,
    hash: String,
}

impl Script {
    fn new(code: String) -> Self {
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Script { code, hash }
    }

    /// Has the server know it.
    pub(super) async fn load(&self, link: &Link) -> RedisResult<()> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(&self.code);
        link.send(&command).await.map(drop)
    }

    /// Runs it several times, one after the other, with the arguments of each.
    pub(super) async fn run_all<T>(
        &self,
        link: &Link,
        each: &[T],
        arguments: impl Fn(&mut Cmd, &T),
    ) -> RedisResult<Vec<Value>> {
        let mut pipeline = redis::Pipeline::with_capacity(each.len());
        for one in each {
            let mut command = redis::cmd("EVALSHA");
            command.arg(&self.hash);
            arguments(&mut command, one);
            pipeline.add_command(command);
        }
        match link.send_all(&pipeline).await {
            Err(error) if unknown(&error) => {
                self.load(link).await?;
                link.send_all(&pipeline).await
            }
            done => done,
        }
    }

    /// Runs it with the keys and arguments that are written into the command, their number first. A server that does not know it, as after
    /// a restart, gets to know it.
    pub(super) async fn run(&self, link: &Link, arguments: impl Fn(&mut Cmd)) -> RedisResult<Value> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            arguments(&mut command);
            command
        };
        match link.send(&command("EVALSHA", &self.hash)).await {
            Err(error) if unknown(&error) => link.send(&command("EVAL", &self.code)).await,
            done => done,
        }
    }
}

/// Whether the server does not know a script.
fn unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Keys: the hash of where the history stands, and its stream. Arguments: the owner, and an epoch in case that there is to be a new one.
///
/// The origins are what is noted of epochs before, the newest first, at most eight of them: `epoch:offset epoch:offset `.
const CLAIM: &str = "
local meta = redis.call('HMGET', KEYS[1], 'e', 's', 'o', 'b')
local epoch, offset, origins = meta[1], tonumber(meta[2] or 0), meta[4] or ''
if meta[3] ~= ARGV[1] then
  if epoch then
    local all, count = epoch .. ':' .. meta[2] .. ' ', 1
    for origin in string.gmatch(origins, '%S+') do
      if count < 8 then all, count = all .. origin .. ' ', count + 1 end
    end
    origins = all
  else
    redis.call('DEL', KEYS[2])
  end
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'e', epoch, 's', meta[2] or 0, 'o', ARGV[1], 'b', origins)
end
";

/// Appends several messages. Further keys: of each, where its position is kept in case that it is appended again. Further arguments: the channel, how
/// many messages are kept, how long (ms) the stream, the hash and the positions are kept, and the messages. Says the epoch, and of each message
/// its offset and whether it was there before.
///
/// What can fail, for want of memory, comes first, so that nothing is half done: the first write is refused, or none is. They are published when
/// all that is to be known of them is written.
pub(super) static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(format!(
        "{CLAIM}
local answer, new, top = {{epoch}}, {{}}, nil
for i = 3, #KEYS do
  local known = nil
  local before = redis.call('GET', KEYS[i])
  if before then
    local split = string.find(before, ':', 1, true)
    local then_epoch = string.sub(before, 1, split)
    if then_epoch == epoch .. ':' or string.find(' ' .. origins, ' ' .. then_epoch, 1, true) then
      known = tonumber(string.sub(before, split + 1))
    end
  end
  if not known then
    offset = offset + 1
    top = string.format('%.0f', offset)
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], top .. '-0', 'm', ARGV[i + 5])
    local place = epoch .. ':' .. top
    redis.call('SET', KEYS[i], place, 'PX', ARGV[7])
    new[#new + 1] = '+' .. place .. ':' .. ARGV[i + 5]
  end
  answer[#answer + 1] = known or offset
  answer[#answer + 1] = known and 1 or 0
end
if top then
  redis.call('HSET', KEYS[1], 's', top)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  for _, message in ipairs(new) do redis.call('PUBLISH', ARGV[3], message) end
end
return answer
"
    ))
});

/// Further arguments: the first offset, how many messages at most, and how long (ms) the hash is kept at least.
pub(super) static HISTORY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(format!(
        "{CLAIM}
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
local kept = {{}}
if tonumber(ARGV[4]) > 0 then kept = redis.call('XRANGE', KEYS[2], ARGV[3] .. '-0', '+', 'COUNT', ARGV[4]) end
return {{epoch, offset, kept, origins}}
"
    ))
});

/// Keys: the hashes of several. Arguments: the owner, and how long (ms) they are kept, those that are looked at from time to time. Says
/// nothing of one that has no epoch of this owner's.
pub(super) static TOPS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
local tops = {}
for i, key in ipairs(KEYS) do
  local meta = redis.call('HMGET', key, 'e', 's', 'o')
  tops[i] = false
  if meta[3] == ARGV[1] then
    if redis.call('PTTL', key) < ARGV[2] / 2 then redis.call('PEXPIRE', key, ARGV[2]) end
    tops[i] = meta[1] .. ':' .. meta[2]
  end
end
return tops
"
        .to_owned(),
    )
});

/// Keys: by time, by id, what is known. Arguments: how long (ms), and ids with what is known of each.
pub(super) static ENTER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
local time = redis.call('TIME')
local expiry = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], string.format('%.0f', expiry), ARGV[i])
  redis.call('ZADD', KEYS[2], 0, ARGV[i])
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
for i = 1, 3 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
end
"
        .to_owned(),
    )
});

/// Keys as of [`ENTER`]. Arguments: ids.
pub(super) static EXIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
for i = 1, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
end
"
        .to_owned(),
    )
});

/// Keys as of [`ENTER`]. Arguments: how many whose time is over are removed at most, the id behind which the page begins (as ZRANGEBYLEX
/// wants it), and how many are on it at most. Says nothing if there may be more to remove: then it is run again, and others have their
/// turn between.
pub(super) static PRESENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(over) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
if #over >= tonumber(ARGV[1]) then return false end
local page = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local known = {}
for i, id in ipairs(page) do known[i] = redis.call('HGET', KEYS[3], id) or '' end
return {redis.call('ZCARD', KEYS[1]), page, known}
"
        .to_owned(),
    )
});
