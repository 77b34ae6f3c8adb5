//! Offers and their answers, from both ends.

use super::*;

fn list(header: &str) -> Vec<Extension> {
    Extension::parse_list(header).unwrap()
}

/// `15+` is a window of 15 bits that is kept, `9` one of 9 bits for each message.
fn shown(Window { bits, takeover }: Window) -> String {
    format!("{bits}{}", if takeover { "+" } else { "" })
}

#[cfg(feature = "deflate")]
mod server {
    use super::*;

    /// What is offered, the answer to it where compression is on and where it keeps its context, and in the second case our window and theirs.
    /// `-` is no compression.
    type Row = (&'static str, &'static str, &'static str, &'static str);

    const PLAIN: &str = "; server_no_context_takeover; client_no_context_takeover";

    #[rustfmt::skip]
    const OFFERS: &[Row] = &[
        // What there is to offer.
        ("permessage-deflate", PLAIN, "", "15+ 15+"),
        ("permessage-deflate; server_no_context_takeover", PLAIN, "; server_no_context_takeover", "15 15+"),
        ("permessage-deflate; client_no_context_takeover", PLAIN, "; client_no_context_takeover", "15+ 15"),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", PLAIN, PLAIN, "15 15"),
        // A client that can be told a window is told none.
        ("permessage-deflate; client_max_window_bits", PLAIN, "", "15+ 15+"),
        ("permessage-deflate; client_max_window_bits; server_no_context_takeover", PLAIN, "; server_no_context_takeover", "15 15+"),
        ("permessage-deflate; client_max_window_bits=15", PLAIN, "", "15+ 15+"),
        ("permessage-deflate; client_max_window_bits=14", "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=14", "; client_max_window_bits=14", "15+ 14+"),
        ("permessage-deflate; client_max_window_bits=9", "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9", "; client_max_window_bits=9", "15+ 9+"),
        ("permessage-deflate; client_max_window_bits=8", "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=8", "; client_max_window_bits=8", "15+ 8+"),
        ("permessage-deflate; client_max_window_bits=\"10\"", "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=10", "; client_max_window_bits=10", "15+ 10+"),
        // A window for us is kept to, and said again.
        ("permessage-deflate; server_max_window_bits=15", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15", "; server_max_window_bits=15", "15+ 15+"),
        ("permessage-deflate; server_max_window_bits=12", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12", "; server_max_window_bits=12", "12+ 15+"),
        ("permessage-deflate; server_max_window_bits=9", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9", "; server_max_window_bits=9", "9+ 15+"),
        ("permessage-deflate; server_max_window_bits=\"11\"", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11", "; server_max_window_bits=11", "11+ 15+"),
        ("permessage-deflate;server_max_window_bits = 10 ;client_max_window_bits", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10", "; server_max_window_bits=10", "10+ 15+"),
        ("permessage-deflate; server_max_window_bits=10; client_max_window_bits=11; server_no_context_takeover; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11", "10 11"),
        // With such a window nobody here can compress.
        ("permessage-deflate; server_max_window_bits=8", "-", "-", ""),
        // What is no offer: declined.
        ("permessage-deflate; server_max_window_bits", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=7", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=16", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=010", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=+10", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=-10", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=10.0", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=\"\"", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=\" 10\"", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=1000000000000000000000", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=ten", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits=7", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits=16", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits=09", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits=\"\"", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits=x", "-", "-", ""),
        ("permessage-deflate; server_no_context_takeover=1", "-", "-", ""),
        ("permessage-deflate; server_no_context_takeover=\"\"", "-", "-", ""),
        ("permessage-deflate; client_no_context_takeover=true", "-", "-", ""),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", "-", "-", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", "-", "-", ""),
        ("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", "-", "-", ""),
        ("permessage-deflate; mux", "-", "-", ""),
        ("permessage-deflate; client_max_window_bits; level=9", "-", "-", ""),
        ("permessage-deflate; Server_No_Context_Takeover", "-", "-", ""),
        // Another extension.
        ("x-webkit-deflate-frame", "-", "-", ""),
        ("permessage-bzip2; client_max_window_bits", "-", "-", ""),
        ("", "-", "-", ""),
        // The first that can be accepted is.
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10", "; server_max_window_bits=10", "10+ 15+"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate; client_no_context_takeover", PLAIN, "; client_no_context_takeover", "15+ 15"),
        ("permessage-deflate; mux, x-one, permessage-deflate; client_max_window_bits=12", "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12", "; client_max_window_bits=12", "15+ 12+"),
        ("permessage-deflate; a, permessage-deflate; b, permessage-deflate", PLAIN, "", "15+ 15+"),
        ("permessage-deflate; a, permessage-deflate; server_max_window_bits", "-", "-", ""),
    ];

    fn answered(compression: Compression, offered: &str) -> Option<Agreement> {
        answer(compression, &list(offered))
    }

    fn words(agreement: Option<&Agreement>) -> String {
        agreement.map_or("-".to_owned(), |agreement| agreement.extension.to_string())
    }

    #[test]
    fn the_first_offer_that_can_be_is_accepted() {
        let expected = |parameters: &str| match parameters {
            "-" => "-".to_owned(),
            parameters => format!("{DEFLATE}{parameters}"),
        };
        for (offered, on, context, windows) in OFFERS {
            let agreement = answered(Compression::On, offered);
            assert_eq!(words(agreement.as_ref()), expected(on), "on: {offered}");
            if let Some(Agreement { deflate, .. }) = agreement {
                assert!(!deflate.ours.takeover && !deflate.theirs.takeover, "{offered}");
                assert_eq!(
                    windows.replace('+', ""),
                    format!("{} {}", shown(deflate.ours), shown(deflate.theirs))
                );
            }
            let agreement = answered(Compression::Context, offered);
            assert_eq!(words(agreement.as_ref()), expected(context), "context: {offered}");
            let found = agreement.map(|Agreement { deflate, .. }| {
                format!("{} {}", shown(deflate.ours), shown(deflate.theirs))
            });
            assert_eq!(found.unwrap_or_default(), *windows, "{offered}");
            assert_eq!(answered(Compression::Off, offered), None, "off: {offered}");
        }
    }

    /// What we answer, a client of ours understands as the other end of the same.
    #[cfg(feature = "client")]
    #[test]
    fn both_ends_mean_the_same() {
        let all = [Compression::On, Compression::Context];
        for (server, client) in all.into_iter().flat_map(|server| all.map(|client| (server, client))) {
            let Agreement { extension, deflate } = answer(server, &[offer(client).unwrap()]).unwrap();
            let theirs = settle(client, &extension).unwrap();
            assert_eq!((deflate.ours, deflate.theirs), (theirs.theirs, theirs.ours), "{server} {client}");
            let keeps = server == Compression::Context && client == Compression::Context;
            assert_eq!((deflate.ours.takeover, deflate.theirs.takeover), (keeps, keeps));
        }
    }

    #[test]
    fn who_chooses_among_extensions_cannot_change_its_parameters() {
        let offered = list("permessage-deflate; client_max_window_bits, permessage-deflate; a");
        let agreement = answer(Compression::On, &offered);
        let table = [
            ("permessage-deflate", true),
            ("permessage-deflate; client_max_window_bits", true),
            ("permessage-deflate; a", true),
            ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", true),
            ("permessage-deflate; server_no_context_takeover", false),
            ("permessage-deflate; client_max_window_bits=9", false),
        ];
        for (chosen, may_be) in table {
            assert_eq!(is_as_it_is(&list(chosen)[0], &offered, agreement.as_ref()), may_be, "{chosen}");
        }
    }
}

#[cfg(all(feature = "deflate", feature = "client"))]
mod client {
    use super::*;

    #[test]
    fn what_is_offered() {
        let offered = |compression| offer(compression).map(|offer| offer.to_string());
        assert_eq!(
            offered(Compression::On).unwrap(),
            "permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover"
        );
        assert_eq!(offered(Compression::Context).unwrap(), "permessage-deflate; client_max_window_bits");
        assert_eq!(offered(Compression::Off), None);
    }

    /// An answer's parameters, and our window and theirs where compression is on and where it keeps its context; or what is wrong.
    type Row = (&'static str, Result<(&'static str, &'static str), &'static str>);

    #[rustfmt::skip]
    const ANSWERS: &[Row] = &[
        ("", Ok(("15 15+", "15+ 15+"))),
        ("; server_no_context_takeover", Ok(("15 15", "15+ 15"))),
        ("; client_no_context_takeover", Ok(("15 15+", "15 15+"))),
        ("; server_no_context_takeover; client_no_context_takeover", Ok(("15 15", "15 15"))),
        // We never asked for a window of the server's; it may tell us one.
        ("; server_max_window_bits=15", Ok(("15 15+", "15+ 15+"))),
        ("; server_max_window_bits=8", Ok(("15 8+", "15+ 8+"))),
        ("; server_max_window_bits=\"12\"; server_no_context_takeover", Ok(("15 12", "15+ 12"))),
        ("; client_max_window_bits=15", Ok(("15 15+", "15+ 15+"))),
        ("; client_max_window_bits=9", Ok(("9 15+", "9+ 15+"))),
        ("; client_max_window_bits=\"10\"", Ok(("10 15+", "10+ 15+"))),
        ("; client_max_window_bits=10; client_no_context_takeover; server_max_window_bits=11; server_no_context_takeover", Ok(("10 11", "10 11"))),
        ("; client_max_window_bits=8", Err("8 bits is too small")),
        ("; client_max_window_bits", Err("needs a number from 9 to 15")),
        ("; client_max_window_bits=7", Err("from 8 to 15, and not `7`")),
        ("; client_max_window_bits=16", Err("from 8 to 15, and not `16`")),
        ("; client_max_window_bits=010", Err("from 8 to 15, and not `010`")),
        ("; server_max_window_bits", Err("needs a number from 8 to 15")),
        ("; server_max_window_bits=0", Err("from 8 to 15, and not `0`")),
        ("; server_max_window_bits=7", Err("from 8 to 15, and not `7`")),
        ("; server_max_window_bits=16", Err("from 8 to 15, and not `16`")),
        ("; server_max_window_bits=255", Err("from 8 to 15, and not `255`")),
        ("; server_max_window_bits=4294967311", Err("from 8 to 15, and not `4294967311`")),
        ("; server_max_window_bits=-8", Err("from 8 to 15, and not `-8`")),
        ("; server_max_window_bits=08", Err("from 8 to 15, and not `08`")),
        ("; server_max_window_bits=\"\"", Err("from 8 to 15, and not ``")),
        ("; server_no_context_takeover=1", Err("takes no value, and has `1`")),
        ("; client_no_context_takeover=\"\"", Err("takes no value, and has ``")),
        ("; server_no_context_takeover; server_no_context_takeover", Err("stands there twice")),
        ("; client_no_context_takeover; client_no_context_takeover", Err("stands there twice")),
        ("; server_max_window_bits=10; server_max_window_bits=10", Err("stands there twice")),
        ("; client_max_window_bits=10; client_max_window_bits=11", Err("stands there twice")),
        ("; mux", Err("`mux` is none of its parameters")),
        ("; server_no_context_takeover; level=9", Err("`level` is none of its parameters")),
        ("; SERVER_NO_CONTEXT_TAKEOVER", Err("is none of its parameters")),
    ];

    #[test]
    fn an_answer_is_understood_or_fails_the_connection() {
        for (parameters, expected) in ANSWERS {
            let answer = &list(&format!("{DEFLATE}{parameters}"))[0];
            let found = [Compression::On, Compression::Context].map(|compression| {
                let deflate = settle(compression, answer)?;
                Ok::<_, String>(format!("{} {}", shown(deflate.ours), shown(deflate.theirs)))
            });
            match (found, expected) {
                ([Ok(on), Ok(context)], Ok(expected)) => {
                    assert_eq!((&*on, &*context), *expected, "{parameters}");
                }
                ([Err(on), Err(context)], Err(why)) => {
                    assert_eq!(on, context);
                    assert!(on.contains(why) && on.contains(DEFLATE), "{parameters}: {on}");
                }
                (found, _) => panic!("{parameters}: {found:?}"),
            }
        }
    }
}

/// Without the feature it is off, whatever is set.
#[cfg(not(feature = "deflate"))]
#[test]
fn without_the_feature_there_is_none() {
    for compression in [Compression::On, Compression::Context, Compression::Off] {
        assert_eq!(answer(compression, &list("permessage-deflate")), None);
        #[cfg(feature = "client")]
        assert_eq!(offer(compression), None);
    }
}
