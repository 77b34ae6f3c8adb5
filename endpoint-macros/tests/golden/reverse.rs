/// Says it back, reversed.
#[server_endpoint("/reverse")]
struct Reverse;

#[handlers]
impl Reverse {
    #[on_message]
    fn reverse(&self, text: String) -> String {
        text.chars().rev().collect()
    }
}
