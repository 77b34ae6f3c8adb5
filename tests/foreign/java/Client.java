import jakarta.websocket.ClientEndpointConfig;
import jakarta.websocket.CloseReason;
import jakarta.websocket.ContainerProvider;
import jakarta.websocket.DeploymentException;
import jakarta.websocket.Endpoint;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.Extension;
import jakarta.websocket.MessageHandler;
import jakarta.websocket.PongMessage;
import jakarta.websocket.Session;
import jakarta.websocket.WebSocketContainer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Tomcat's WebSocket client, against our server.
 *
 * <pre>
 * Client echo          everything that /echo and /bcast promise
 * Client limit PATH    the endpoint at PATH admits no message of 70,000 bytes
 * Client interop       what tests/src/bin/interop.rs offers besides
 * </pre>
 *
 * The server is at SERVER_URL (ws://HOST:PORT). One line for each check; exit status 1 when one failed.
 */
public final class Client {
    static final String URL = System.getenv("SERVER_URL");
    static final int[] SIZES = {0, 1, 125, 126, 65_535, 65_536, 1 << 20};
    static final int LARGEST = 2 << 20;
    static final List<CloseReason> CLOSES = List.of(
            closing(1000, "done"), closing(1001, "leaving"), closing(1011, "broken"), closing(3000, "registered"),
            closing(4999, "grün"));
    static final long PATIENCE = 30; // seconds for one message

    interface Check {
        void run() throws Exception;
    }

    record Named(String name, Check check) {}

    record Parameter(String name, String value) implements Extension.Parameter {
        @Override
        public String getName() {
            return name;
        }

        @Override
        public String getValue() {
            return value;
        }
    }

    record Deflate(List<Extension.Parameter> parameters) implements Extension {
        @Override
        public String getName() {
            return "permessage-deflate";
        }

        @Override
        public List<Extension.Parameter> getParameters() {
            return parameters;
        }
    }

    /** A part of a message: its text, or how many bytes it has. */
    record Part(Object data, boolean last) {}

    /** An open connection that keeps what arrives. */
    static final class Peer extends Endpoint implements AutoCloseable {
        static final WebSocketContainer CONTAINER = ContainerProvider.getWebSocketContainer();

        final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
        final CompletableFuture<CloseReason> closed = new CompletableFuture<>();
        final boolean partial;
        final Session session;

        Peer(String path, boolean partial, String origin, String... subprotocols) throws Exception {
            this(path, partial, origin, List.of(), subprotocols);
        }

        Peer(String path, boolean partial, String origin, List<Extension> extensions, String... subprotocols) throws Exception {
            this.partial = partial;
            var configurator = new ClientEndpointConfig.Configurator() {
                @Override
                public void beforeRequest(Map<String, List<String>> headers) {
                    if (origin != null) headers.put("Origin", List.of(origin));
                }
            };
            var config = ClientEndpointConfig.Builder.create()
                    .configurator(configurator)
                    .preferredSubprotocols(Arrays.asList(subprotocols))
                    .extensions(extensions)
                    .build();
            session = CONTAINER.connectToServer(this, config, URI.create(URL + path));
        }

        Peer(String path) throws Exception {
            this(path, false, null);
        }

        /** One that keeps the parts of messages. */
        static Peer partial(String path) throws Exception {
            return new Peer(path, true, null);
        }

        @Override
        public void onOpen(Session opened, EndpointConfig config) {
            opened.setMaxTextMessageBufferSize(LARGEST);
            opened.setMaxBinaryMessageBufferSize(LARGEST);
            if (partial) {
                opened.addMessageHandler(String.class, (MessageHandler.Partial<String>) this::part);
                opened.addMessageHandler(ByteBuffer.class, (MessageHandler.Partial<ByteBuffer>) this::part);
            } else {
                opened.addMessageHandler(String.class, (MessageHandler.Whole<String>) arrived::add);
                opened.addMessageHandler(ByteBuffer.class, (MessageHandler.Whole<ByteBuffer>) arrived::add);
            }
            opened.addMessageHandler(PongMessage.class,
                    (MessageHandler.Whole<PongMessage>) pong -> arrived.add("pong " + text(pong.getApplicationData())));
        }

        @Override
        public void onClose(Session session, CloseReason reason) {
            closed.complete(reason);
        }

        void part(Object part, boolean last) {
            arrived.add(new Part(part instanceof ByteBuffer bytes ? bytes.remaining() : part, last));
        }

        Object message() throws Exception {
            Object found = arrived.poll(PATIENCE, TimeUnit.SECONDS);
            return found == null && closed.isDone() ? closed.get() : found;
        }

        void expect(Object expected) throws Exception {
            equal(message(), expected);
        }

        void ping(String payload) throws Exception {
            session.getBasicRemote().sendPing(bytes(payload));
            expect("pong " + payload);
        }

        @Override
        public void close() throws Exception {
            session.close();
        }
    }

    static CloseReason closing(int code, String text) {
        return new CloseReason(CloseReason.CloseCodes.getCloseCode(code), text);
    }

    static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    static String text(ByteBuffer bytes) {
        return java.nio.charset.StandardCharsets.UTF_8.decode(bytes).toString();
    }

    static void equal(Object found, Object expected) {
        if (!expected.equals(found)) throw new AssertionError("expected " + brief(expected) + ", found " + brief(found));
    }

    static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() > 80 ? text.substring(0, 80) + "…" : text;
    }

    static void textEchoes(String message) throws Exception {
        try (var peer = new Peer("/echo")) {
            peer.session.getBasicRemote().sendText(message);
            peer.expect(message);
        }
    }

    static void binaryEchoes(int size) throws Exception {
        byte[] message = new byte[size];
        for (int index = 0; index < size; index++) message[index] = (byte) index;
        try (var peer = new Peer("/echo")) {
            peer.session.getBasicRemote().sendBinary(ByteBuffer.wrap(message));
            peer.expect(ByteBuffer.wrap(message));
        }
    }

    static void textInFragments() throws Exception {
        try (var peer = new Peer("/echo")) {
            var remote = peer.session.getBasicRemote();
            for (String part : List.of("one ", "", "zwei-ü ", "три ")) remote.sendText(part, false);
            remote.sendText("四", true);
            peer.expect("one zwei-ü три 四");
        }
    }

    static void binaryInFragments() throws Exception {
        try (var peer = new Peer("/echo")) {
            byte[] whole = new byte[70_126];
            Arrays.fill(whole, 126, whole.length, (byte) 255);
            peer.session.getBasicRemote().sendBinary(ByteBuffer.wrap(whole, 0, 126), false);
            peer.session.getBasicRemote().sendBinary(ByteBuffer.wrap(whole, 126, 70_000), true);
            peer.expect(ByteBuffer.wrap(whole));
        }
    }

    static void pingBetweenFragments() throws Exception {
        try (var peer = new Peer("/echo")) {
            peer.session.getBasicRemote().sendText("first, ", false);
            peer.ping("in between");
            peer.session.getBasicRemote().sendText("last", true);
            peer.expect("first, last");
        }
    }

    static void pingIsAnswered() throws Exception {
        try (var peer = new Peer("/echo")) {
            peer.ping("are you there");
            peer.ping("");
            peer.session.getBasicRemote().sendText("still open");
            peer.expect("still open");
        }
    }

    static void noSubprotocolIsChosen() throws Exception {
        try (var peer = new Peer("/echo", false, null, "unheard.of")) {
            equal(peer.session.getNegotiatedSubprotocol(), "");
        }
    }

    /** By the JDK's own client: Tomcat's reports the reason it sent, not the one that came back. */
    static void closeIsAnswered() throws Exception {
        var answer = new CompletableFuture<Integer>();
        var listener = new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
                answer.complete(code);
                return null;
            }

            @Override
            public void onError(WebSocket socket, Throwable problem) {
                answer.completeExceptionally(problem);
            }
        };
        var socket = HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(URL + "/echo"), listener)
                .get(PATIENCE, TimeUnit.SECONDS);
        socket.sendClose(4001, "enough");
        equal(answer.get(PATIENCE, TimeUnit.SECONDS), 4001);
    }

    static void broadcastReachesEveryone() throws Exception {
        try (var one = new Peer("/bcast"); var two = new Peer("/bcast"); var three = new Peer("/bcast")) {
            for (var peer : List.of(one, two, three)) peer.ping("open");
            two.session.getBasicRemote().sendText("to all");
            for (var peer : List.of(one, two, three)) peer.expect("to all");
        }
    }

    static void refused(int status, String path, String origin) throws Exception {
        try (var peer = new Peer(path, false, origin)) {
            throw new AssertionError("the handshake was accepted");
        } catch (DeploymentException refusal) {
            if (!refusal.getMessage().contains("[" + status + "]")) throw refusal;
        }
    }

    static void sameOriginIsAccepted() throws Exception {
        try (var peer = new Peer("/echo", false, URL.replace("ws:", "http:"))) {
            peer.session.getBasicRemote().sendText("from a page of yours");
            peer.expect("from a page of yours");
        }
    }

    static void pipeline() throws Exception {
        try (var peer = new Peer("/echo")) {
            var sent = new ArrayList<String>();
            for (int number = 0; number < 200; number++) sent.add(number + ": " + "x".repeat(number * 37 % 2_000));
            for (String message : sent) peer.session.getBasicRemote().sendText(message);
            for (String message : sent) peer.expect(message);
        }
    }

    static void oversized(String path) throws Exception {
        try (var peer = new Peer(path)) {
            try {
                peer.session.getBasicRemote().sendText("x".repeat(70_000));
            } catch (IOException | IllegalStateException early) {
                // The server says no as soon as it has seen the header, which may be before all is sent.
            }
            var reason = peer.closed.get(PATIENCE, TimeUnit.SECONDS);
            equal(reason.getCloseCode().getCode(), 1009);
            System.out.println("    the server said: " + reason.getReasonPhrase());
        }
    }

    static void partsAreSeen() throws Exception {
        try (var peer = new Peer("/parts")) {
            peer.session.getBasicRemote().sendText("first, ", false);
            peer.expect("part first, ");
            peer.session.getBasicRemote().sendText("last", true);
            var seen = new StringBuilder();
            String said;
            do {
                said = (String) peer.message();
                seen.append(said.substring(5));
            } while (!said.startsWith("last"));
            equal(seen.toString(), "last");
        }
    }

    static void bytesAreSeenInParts() throws Exception {
        try (var peer = new Peer("/parts")) {
            peer.session.getBasicRemote().sendBinary(ByteBuffer.allocate(70_000), false);
            peer.session.getBasicRemote().sendBinary(ByteBuffer.allocate(70_000), true);
            int bytes = 0, parts = 0;
            String[] said;
            do {
                said = ((String) peer.message()).split(" ");
                bytes += Integer.parseInt(said[2]);
                parts++;
            } while (!said[0].equals("last"));
            equal(bytes, 140_000);
            equal(parts > 1, true);
        }
    }

    static void itsTextFragments() throws Exception {
        try (var peer = Peer.partial("/fragments")) {
            peer.session.getBasicRemote().sendText("one zwei-ü три 四");
            for (String word : List.of("one", "zwei-ü", "три")) peer.expect(new Part(word, false));
            peer.expect(new Part("四", true));
        }
    }

    static void itsBinaryFragments() throws Exception {
        try (var peer = Peer.partial("/fragments")) {
            peer.session.getBasicRemote().sendBinary(ByteBuffer.wrap(new byte[] {1, 2, 3}));
            for (boolean last : new boolean[] {false, false, true}) peer.expect(new Part(1, last));
        }
    }

    static void streams() throws Exception {
        try (var peer = new Peer("/streams")) {
            // Nothing beyond U+FFFF: where Tomcat's writer cuts such a character in two, it fails.
            String text = "Grüße, Καλημέρα, 你好 ".repeat(20_000);
            try (var writer = peer.session.getBasicRemote().getSendWriter()) {
                writer.write(text);
            }
            peer.expect(text);
            byte[] bytes = new byte[1_500_000];
            for (int index = 0; index < bytes.length; index++) bytes[index] = (byte) index;
            try (var stream = peer.session.getBasicRemote().getSendStream()) {
                stream.write(bytes);
            }
            peer.expect(ByteBuffer.wrap(bytes));
        }
    }

    static void subprotocol(String chosen, String... offered) throws Exception {
        try (var peer = new Peer("/subprotocols", false, null, offered)) {
            equal(peer.session.getNegotiatedSubprotocol(), chosen);
            peer.expect(chosen.isEmpty() ? "none" : chosen);
        }
    }

    static void itSeesPings() throws Exception {
        try (var peer = new Peer("/pings")) {
            peer.session.getBasicRemote().sendPing(bytes("hello"));
            // The runtime answers before it tells the endpoint.
            peer.expect("pong hello");
            peer.expect("ping hello");
        }
    }

    static void itPings() throws Exception {
        try (var peer = new Peer("/pings")) {
            peer.session.getBasicRemote().sendText("are you there");
            peer.expect("pong are you there");
        }
    }

    static void itCloses(String order, int code, String text) throws Exception {
        try (var peer = new Peer("/close")) {
            peer.session.getBasicRemote().sendText(order);
            var reason = peer.closed.get(PATIENCE, TimeUnit.SECONDS);
            equal(reason.getCloseCode().getCode(), code);
            equal(Objects.requireNonNullElse(reason.getReasonPhrase(), ""), text);
        }
    }

    static void itSeesTheClose(int code, String text) throws Exception {
        try (var witness = new Peer("/witness")) {
            witness.expect("open");
            new Peer("/closing").session.close(closing(code, text));
            witness.expect(code + " " + text);
        }
    }

    static void objectArrives() throws Exception {
        try (var peer = new Peer("/objects/3/-4")) {
            peer.expect("(3, -4)");
        }
    }

    static void compressed(String path, List<Extension.Parameter> offered, Set<String> agreed) throws Exception {
        try (var peer = new Peer(path, false, null, List.of(new Deflate(offered)))) {
            var words = new java.util.HashSet<String>();
            for (var extension : peer.session.getNegotiatedExtensions()) {
                words.add(extension.getName());
                extension.getParameters().forEach(parameter -> words.add(parameter.getName()));
            }
            equal(words, agreed);
            var remote = peer.session.getBasicRemote();
            for (int size : new int[] {0, 1, 125, 1_023, 1_024, 1_025, 65_536, 1 << 20}) {
                remote.sendText("j".repeat(size));
                peer.expect("j".repeat(size));
            }
            byte[] noise = new byte[100_000];
            new java.util.Random(7).nextBytes(noise);
            for (int round = 0; round < 3; round++) {
                remote.sendBinary(ByteBuffer.wrap(noise));
                peer.expect(ByteBuffer.wrap(noise));
                String greetings = "Grüße, Καλημέρα, 你好 ".repeat(1_000);
                remote.sendText(greetings);
                peer.expect(greetings);
            }
            for (String part : List.of("one ", "", "zwei-ü ", "три ")) remote.sendText(part, false);
            remote.sendText("四".repeat(2_000), true);
            peer.expect("one zwei-ü три " + "四".repeat(2_000));
        }
    }

    static List<Named> checksOfInterop() {
        var checks = new ArrayList<Named>();
        checks.add(new Named("parts are seen one by one", Client::partsAreSeen));
        checks.add(new Named("bytes are seen in parts", Client::bytesAreSeenInParts));
        checks.add(new Named("text in fragments of the server's", Client::itsTextFragments));
        checks.add(new Named("binary in fragments of the server's", Client::itsBinaryFragments));
        checks.add(new Named("text and binary as streams", Client::streams));
        checks.add(new Named("subprotocol of two, in the client's order", () -> subprotocol("chat.v1", "chat.v1", "chat.v2")));
        checks.add(new Named("subprotocol, the second offered", () -> subprotocol("chat.v2", "unheard.of", "chat.v2")));
        checks.add(new Named("subprotocol that nobody has", () -> subprotocol("", "unheard.of")));
        checks.add(new Named("subprotocol not asked for", () -> subprotocol("")));
        checks.add(new Named("ping is seen", Client::itSeesPings));
        checks.add(new Named("ping of the server's", Client::itPings));
        for (var close : CLOSES) {
            String order = close.getCloseCode().getCode() + " " + close.getReasonPhrase();
            int code = close.getCloseCode().getCode();
            checks.add(new Named("the server closes with " + order, () -> itCloses(order, code, close.getReasonPhrase())));
            checks.add(new Named("the server sees a close with " + code, () -> itSeesTheClose(code, close.getReasonPhrase())));
        }
        // Tomcat takes a close without a code for 1000, and cannot send one.
        checks.add(new Named("the server closes with none", () -> itCloses("none", 1000, "")));
        checks.add(new Named("object of the application's", Client::objectArrives));
        String server = "server_no_context_takeover", client = "client_no_context_takeover", name = "permessage-deflate";
        checks.add(new Named("compression", () -> compressed("/compressed", List.of(), Set.of(name, server, client))));
        checks.add(new Named("compression in context", () -> compressed("/compressed/context", List.of(), Set.of(name))));
        checks.add(new Named("compression in context that the client does not want", () -> compressed("/compressed/context",
                List.of(new Parameter(server, null), new Parameter(client, null)), Set.of(name, server, client))));
        return checks;
    }

    static List<Named> checksOfEcho() {
        var checks = new ArrayList<Named>();
        for (int size : SIZES) {
            checks.add(new Named("text of " + size + " bytes", () -> textEchoes("t".repeat(size))));
            checks.add(new Named("binary of " + size + " bytes", () -> binaryEchoes(size)));
        }
        checks.add(new Named("text beyond ASCII", () -> textEchoes("Grüße, Καλημέρα, 你好, 👩‍🚀, \0, " + Character.toString(0x10ffff))));
        checks.add(new Named("text in fragments", Client::textInFragments));
        checks.add(new Named("binary in fragments", Client::binaryInFragments));
        checks.add(new Named("ping between fragments", Client::pingBetweenFragments));
        checks.add(new Named("ping", Client::pingIsAnswered));
        checks.add(new Named("subprotocol that nobody has", Client::noSubprotocolIsChosen));
        checks.add(new Named("close with a code of one's own", Client::closeIsAnswered));
        checks.add(new Named("broadcast", Client::broadcastReachesEveryone));
        checks.add(new Named("unknown path", () -> refused(404, "/nowhere", null)));
        checks.add(new Named("foreign origin", () -> refused(403, "/echo", "http://evil.example")));
        checks.add(new Named("same origin", Client::sameOriginIsAccepted));
        checks.add(new Named("200 messages at once", Client::pipeline));
        return checks;
    }

    public static void main(String[] arguments) {
        Logger.getLogger("").setLevel(Level.WARNING);
        List<Named> checks;
        if (arguments.length == 1 && arguments[0].equals("echo")) {
            checks = checksOfEcho();
        } else if (arguments.length == 1 && arguments[0].equals("interop")) {
            checks = checksOfInterop();
        } else if (arguments.length == 2 && arguments[0].equals("limit")) {
            checks = List.of(new Named("message over the limit", () -> oversized(arguments[1])));
        } else {
            System.err.println("usage: Client echo | limit PATH | interop");
            System.exit(64);
            return;
        }
        int failed = 0;
        for (var named : checks) {
            try {
                named.check().run();
                System.out.println("ok   java: " + named.name());
            } catch (Throwable problem) {
                failed++;
                System.out.println("FAIL java: " + named.name() + ": " + problem);
            }
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
