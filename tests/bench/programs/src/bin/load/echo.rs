//! Messages that are said back: a new one is sent for each answer that comes.

use std::io::Write;
use std::time::Duration;

use mio::{Events, Poll};

use crate::meter::Meter;
use crate::socket::{Connection, connect};
use crate::{Arguments, Result};

const EVENTS: usize = 1024;

pub(crate) fn run(arguments: &Arguments) -> Result<Vec<(&'static str, f64)>> {
    let (message, depth) = (arguments.message()?, arguments.depth()?);
    let frames = message.frame.repeat(depth);
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    let mut answer = None;
    for (token, mut stream) in connect(arguments, arguments.connections()?)?.into_iter().enumerate() {
        stream.write_all(&message.frame)?;
        let length = message.read_answer(&stream)?;
        if *answer.get_or_insert(length) != length {
            return Err("answers of different lengths".into());
        }
        connections.push(Connection::new(stream, &poll, token)?);
    }
    let answer = answer.ok_or("no connections")?;
    let mut meter = Meter::new(arguments)?;
    for connection in &mut connections {
        connection.send(depth, message.frame.len(), &frames)?;
    }
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let connection = &mut connections[event.token().0];
            let count = connection.receive(answer, &mut buffer)?;
            meter.add(count);
            connection.send(count, message.frame.len(), &frames)?;
        }
        if let Some(figures) = meter.figures()? {
            return Ok(figures);
        }
    }
}
