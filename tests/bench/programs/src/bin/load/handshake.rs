//! Connections that come, are upgraded, and go: a new one for each that has gone.

use std::io::{Read, Write};
use std::net::TcpStream as Blocking;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::socket::request;
use crate::{Arguments, Result};

const EVENTS: usize = 1024;

/// A connection whose request has been sent. It ends by a reset, so that it does not keep its port.
fn begin(arguments: &Arguments, request: &str, poll: &Poll, token: usize) -> Result<TcpStream> {
    let mut stream = Blocking::connect(("127.0.0.1", arguments.port()?))?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    stream.write_all(request.as_bytes())?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
    Ok(stream)
}

/// Takes in what has come: whether that is all of an answer.
fn is_answered(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; 2048];
    match stream.read(&mut buffer)? {
        0 => Err("the server has closed a connection".into()),
        read => {
            answer.extend_from_slice(&buffer[..read]);
            let whole = answer.windows(4).any(|end| end == b"\r\n\r\n");
            if whole && !answer.starts_with(b"HTTP/1.1 101") {
                return Err("the server refuses a handshake".into());
            }
            Ok(whole)
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Vec<(&'static str, f64)>> {
    let (count, server) = (arguments.get("count", 10_000)?, arguments.server()?);
    let request = request(arguments)?;
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for token in 0..arguments.connections()? {
        connections.push((begin(arguments, &request, &poll, token)?, Vec::new()));
    }
    // So many go before, unmeasured.
    let warm = arguments.get("first", count / 4)?;
    let (mut done, mut before) = (0, server.cpu()?);
    let mut events = Events::with_capacity(EVENTS);
    while done < warm + count {
        poll.poll(&mut events, Some(Duration::from_secs(20)))?;
        if events.is_empty() {
            return Err("the server answers no handshake any more".into());
        }
        for event in &events {
            let token = event.token().0;
            let (stream, answer) = &mut connections[token];
            if is_answered(stream, answer)? {
                connections[token] = (begin(arguments, &request, &poll, token)?, Vec::new());
                done += 1;
                if done == warm {
                    before = server.cpu()?;
                }
            }
        }
    }
    let spent = (server.cpu()? - before).as_secs_f64();
    Ok(vec![("cpu", spent * 1e6 / (done - warm) as f64)])
}
