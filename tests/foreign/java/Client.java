import jakarta.websocket.ClientEndpointConfig;
import jakarta.websocket.CloseReason;
import jakarta.websocket.ContainerProvider;
import jakarta.websocket.DeploymentException;
import jakarta.websocket.Endpoint;
import jakarta.websocket.EndpointConfig;
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
 * </pre>
 *
 * The server is at SERVER_URL (ws://HOST:PORT). One line for each check; exit status 1 when one failed.
 */
public final class Client {
    static final String URL = System.getenv("SERVER_URL");
    static final int[] SIZES = {0, 1, 125, 126, 65_535, 65_536, 1 << 20};
    static final int LARGEST = 2 << 20;
    static final long PATIENCE = 30; // seconds for one message

    interface Check {
        void run() throws Exception;
    }

    record Named(String name, Check check) {}

    /** An open connection that keeps what arrives. */
    static final class Peer extends Endpoint implements AutoCloseable {
        static final WebSocketContainer CONTAINER = ContainerProvider.getWebSocketContainer();

        final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
        final CompletableFuture<CloseReason> closed = new CompletableFuture<>();
        final Session session;

        Peer(String path, String origin, String... subprotocols) throws Exception {
            var configurator = new ClientEndpointConfig.Configurator() {
                @Override
                public void beforeRequest(Map<String, List<String>> headers) {
                    if (origin != null) headers.put("Origin", List.of(origin));
                }
            };
            var config = ClientEndpointConfig.Builder.create()
                    .configurator(configurator)
                    .preferredSubprotocols(Arrays.asList(subprotocols))
                    .build();
            session = CONTAINER.connectToServer(this, config, URI.create(URL + path));
        }

        Peer(String path) throws Exception {
            this(path, null);
        }

        @Override
        public void onOpen(Session opened, EndpointConfig config) {
            opened.setMaxTextMessageBufferSize(LARGEST);
            opened.setMaxBinaryMessageBufferSize(LARGEST);
            opened.addMessageHandler(String.class, (MessageHandler.Whole<String>) arrived::add);
            opened.addMessageHandler(ByteBuffer.class, (MessageHandler.Whole<ByteBuffer>) arrived::add);
            opened.addMessageHandler(PongMessage.class,
                    (MessageHandler.Whole<PongMessage>) pong -> arrived.add("pong " + text(pong.getApplicationData())));
        }

        @Override
        public void onClose(Session session, CloseReason reason) {
            closed.complete(reason);
        }

        void expect(Object expected) throws Exception {
            Object found = arrived.poll(PATIENCE, TimeUnit.SECONDS);
            equal(found == null && closed.isDone() ? closed.get() : found, expected);
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
        try (var peer = new Peer("/echo", null, "unheard.of")) {
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
        try (var peer = new Peer(path, origin)) {
            throw new AssertionError("the handshake was accepted");
        } catch (DeploymentException refusal) {
            if (!refusal.getMessage().contains("[" + status + "]")) throw refusal;
        }
    }

    static void sameOriginIsAccepted() throws Exception {
        try (var peer = new Peer("/echo", URL.replace("ws:", "http:"))) {
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
        } else if (arguments.length == 2 && arguments[0].equals("limit")) {
            checks = List.of(new Named("message over the limit", () -> oversized(arguments[1])));
        } else {
            System.err.println("usage: Client echo | limit PATH");
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
