//! What connections hold on to that are open and silent.

use std::io::Write;
use std::net::TcpStream;

use crate::message::Message;
use crate::socket::connect;
use crate::{Arguments, Result};

/// So many come and go before, so that what is made once is there.
const FIRST: usize = 20;

fn exchange(message: &Message, connections: &[TcpStream]) -> Result<()> {
    for mut connection in connections {
        // The server may answer before it has read all.
        std::thread::scope(|scope| -> Result<()> {
            let sent = scope.spawn(move || connection.write_all(&message.frame));
            message.read_answer(connection)?;
            sent.join().map_err(|_| "the writing thread has panicked")??;
            Ok(())
        })?;
    }
    Ok(())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Vec<(&'static str, f64)>> {
    let (count, server) = (arguments.connections()?, arguments.server()?);
    let (small, big) = (Message::new(125, false, false)?, arguments.message()?);
    let first = connect(arguments, FIRST)?;
    exchange(&small, &first)?;
    exchange(&big, &first[..1])?;
    drop(first);
    server.settle()?;
    let none = server.resident()?;
    let connections = connect(arguments, count)?;
    exchange(&small, &connections)?;
    server.settle()?;
    let idle = server.resident()?;
    exchange(&big, &connections)?;
    server.settle()?;
    let after = server.resident()?;
    let each = |resident: f64| (resident - none) / count as f64;
    Ok(vec![("idle", each(idle)), ("after", each(after))])
}
