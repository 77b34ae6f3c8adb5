//! Messages of one to all: the next round begins when the last one has reached everybody.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use mio::{Events, Poll};

use crate::meter::Meter;
use crate::socket::{Connection, connect};
use crate::{Arguments, Result};

const EVENTS: usize = 4096;

pub(crate) fn run(arguments: &Arguments) -> Result<Vec<(&'static str, f64)>> {
    let (message, depth) = (arguments.message()?, arguments.depth()?);
    let frames = message.frame.repeat(depth);
    let mut streams = connect(arguments, arguments.connections()?)?;
    // Everybody is a member before the first word.
    arguments.server()?.settle()?;
    streams.first_mut().ok_or("no connections")?.write_all(&message.frame)?;
    let mut answer = 0;
    for stream in &streams {
        answer = message.read_answer(stream)?;
    }
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for (token, stream) in streams.into_iter().enumerate() {
        connections.push(Connection::new(stream, &poll, token)?);
    }
    let everybody = connections.len();
    let mut rounds = Rounds { first: 0, missing: VecDeque::new(), received: vec![0; everybody] };
    let mut meter = Meter::new(arguments)?;
    rounds.begin(depth);
    connections[0].send(depth, message.frame.len(), &frames)?;
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let token = event.token().0;
            let count = connections[token].receive(answer, &mut buffer)?;
            meter.add(count);
            rounds.receive(token, count)?;
        }
        let done = rounds.done();
        rounds.begin(done);
        connections[0].send(done, message.frame.len(), &frames)?;
        if let Some(figures) = meter.figures()? {
            return Ok(figures);
        }
    }
}

/// Who still misses which message.
struct Rounds {
    /// The number of the oldest round that is on its way, and how many miss that one and those after it.
    first: usize,
    missing: VecDeque<usize>,
    /// How many messages each connection has received.
    received: Vec<usize>,
}

impl Rounds {
    fn begin(&mut self, count: usize) {
        self.missing.extend(std::iter::repeat_n(self.received.len(), count));
    }

    fn receive(&mut self, connection: usize, count: usize) -> Result<()> {
        for _ in 0..count {
            let round = self.received[connection] - self.first;
            *self.missing.get_mut(round).ok_or("a message that nobody sent")? -= 1;
            self.received[connection] += 1;
        }
        Ok(())
    }

    /// Takes away the rounds that have reached everybody, and says how many they were.
    fn done(&mut self) -> usize {
        let mut done = 0;
        while self.missing.front() == Some(&0) {
            self.missing.pop_front();
            done += 1;
        }
        self.first += done;
        done
    }
}
