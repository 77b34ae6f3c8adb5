import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.websocket.CloseReason;
import jakarta.websocket.EndpointConfig;
import jakarta.websocket.HandshakeResponse;
import jakarta.websocket.OnClose;
import jakarta.websocket.OnMessage;
import jakarta.websocket.OnOpen;
import jakarta.websocket.PongMessage;
import jakarta.websocket.Session;
import jakarta.websocket.server.HandshakeRequest;
import jakarta.websocket.server.PathParam;
import jakarta.websocket.server.ServerEndpoint;
import jakarta.websocket.server.ServerEndpointConfig;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Base64;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.servlets.DefaultServlet;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;
import org.apache.tomcat.websocket.server.WsSci;

/**
 * Tomcat's {@code @ServerEndpoint}, as a server of our client: what each path does, {@code tests/src/bin/caller.rs} says.
 *
 * <p>Prints its URL on the first line, and serves until its standard input ends.
 */
public final class Server {
    static final int LARGEST = 4 << 20;
    static final String LOGIN =
            "Basic " + Base64.getEncoder().encodeToString("Ada:lovelace".getBytes(StandardCharsets.UTF_8));

    @ServerEndpoint("/echo")
    public static class Echo {
        @OnMessage(maxMessageSize = LARGEST)
        public String text(String message) {
            return message;
        }

        @OnMessage(maxMessageSize = LARGEST)
        public ByteBuffer binary(ByteBuffer message) {
            return message;
        }
    }

    @ServerEndpoint("/private")
    public static class Private extends Echo {
        @Override
        @OnMessage
        public String text(String message) {
            return message;
        }

        @Override
        @OnMessage
        public ByteBuffer binary(ByteBuffer message) {
            return message;
        }
    }

    @ServerEndpoint("/fragments")
    public static class Fragments {
        @OnMessage
        public void text(String message, Session session) throws IOException {
            String[] words = message.split(" ");
            for (int index = 0; index < words.length; index++) {
                session.getBasicRemote().sendText(words[index], index == words.length - 1);
            }
        }

        @OnMessage(maxMessageSize = LARGEST)
        public void binary(byte[] message, Session session) throws IOException {
            int half = message.length / 2;
            session.getBasicRemote().sendBinary(ByteBuffer.wrap(message, 0, half), false);
            session.getBasicRemote().sendBinary(ByteBuffer.wrap(message, half, message.length - half), true);
        }
    }

    @ServerEndpoint("/halves")
    public static class Halves {
        @OnOpen
        public void open(Session session) throws IOException {
            session.getBasicRemote().sendText("first, ", false);
        }

        @OnMessage
        public void text(String message, Session session) throws IOException {
            session.getBasicRemote().sendText("last", true);
        }
    }

    @ServerEndpoint("/pings")
    public static class Pings {
        @OnMessage
        public void text(String message, Session session) throws IOException {
            session.getBasicRemote().sendPing(ByteBuffer.wrap(message.getBytes(StandardCharsets.UTF_8)));
        }

        @OnMessage
        public void pong(PongMessage pong, Session session) throws IOException {
            session.getBasicRemote().sendText("pong " + StandardCharsets.UTF_8.decode(pong.getApplicationData()));
        }
    }

    @ServerEndpoint(value = "/subprotocols", subprotocols = {"chat.v2", "chat.v1"})
    public static class Subprotocols {
        @OnOpen
        public void open(Session session) throws IOException {
            String chosen = session.getNegotiatedSubprotocol();
            session.getBasicRemote().sendText(chosen.isEmpty() ? "none" : chosen);
        }
    }

    @ServerEndpoint("/close")
    public static class Close {
        @OnMessage
        public void text(String order, Session session) throws IOException {
            String[] parts = order.split(" ");
            int code = Integer.parseInt(parts[0]);
            session.close(new CloseReason(CloseReason.CloseCodes.getCloseCode(code), parts[1]));
        }
    }

    @ServerEndpoint("/closing")
    public static class Closing {
        @OnClose
        public void close(CloseReason reason) throws IOException {
            String text = reason.getReasonPhrase() == null ? "" : reason.getReasonPhrase();
            for (Session witness : Witness.SESSIONS) {
                witness.getBasicRemote().sendText((reason.getCloseCode().getCode() + " " + text).trim());
            }
        }
    }

    @ServerEndpoint("/witness")
    public static class Witness {
        static final Set<Session> SESSIONS = ConcurrentHashMap.newKeySet();

        @OnOpen
        public void open(Session session) throws IOException {
            SESSIONS.add(session);
            session.getBasicRemote().sendText("open");
        }

        @OnClose
        public void close(Session session) {
            SESSIONS.remove(session);
        }
    }

    @ServerEndpoint(value = "/header", configurator = Header.Asked.class)
    public static class Header {
        /** Only a configurator sees the request. */
        public static class Asked extends ServerEndpointConfig.Configurator {
            @Override
            public void modifyHandshake(ServerEndpointConfig config, HandshakeRequest request, HandshakeResponse response) {
                config.getUserProperties().put("asked", request.getHeaders().get("X-Asked").get(0));
            }
        }

        @OnOpen
        public void open(Session session, EndpointConfig config) throws IOException {
            session.getBasicRemote().sendText((String) config.getUserProperties().get("asked"));
        }
    }

    @ServerEndpoint("/rooms/{room}")
    public static class Room {
        @OnOpen
        public void open(Session session, @PathParam("room") String room) throws IOException {
            session.getBasicRemote().sendText(room);
        }
    }

    @ServerEndpoint("/idle")
    public static class Idle {
        @OnOpen
        public void open(Session session) {
            session.setMaxIdleTimeout(500);
        }
    }

    /** Keeps out whoever has no password, before there is a WebSocket. */
    public static final class Login implements Filter {
        @Override
        public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
                throws IOException, ServletException {
            if (LOGIN.equals(((HttpServletRequest) request).getHeader("Authorization"))) {
                chain.doFilter(request, response);
            } else {
                ((HttpServletResponse) response).setHeader("WWW-Authenticate", "Basic realm=\"tests\"");
                ((HttpServletResponse) response).sendError(401);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Logger.getLogger("").setLevel(Level.WARNING);
        var folder = Files.createTempDirectory("tomcat");
        var tomcat = new Tomcat();
        tomcat.setBaseDir(folder.toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(0);
        tomcat.getConnector().setProperty("address", "127.0.0.1");

        // Not `tomcat.addContext`, which looks for annotations of a library that is no part of Tomcat's.
        var context = new StandardContext();
        context.setPath("");
        context.setDocBase(folder.toString());
        context.setIgnoreAnnotations(true);
        context.addLifecycleListener(event -> {
            if (event.getType().equals(Lifecycle.CONFIGURE_START_EVENT)) context.setConfigured(true);
        });
        tomcat.getHost().addChild(context);
        // Without a servlet behind it, no request gets as far as the filter that makes WebSockets.
        Tomcat.addServlet(context, "default", new DefaultServlet()).addMapping("/");
        var login = new FilterDef();
        login.setFilterName("login");
        login.setFilter(new Login());
        context.addFilterDef(login);
        var guarded = new FilterMap();
        guarded.setFilterName("login");
        guarded.addURLPattern("/private");
        context.addFilterMap(guarded);
        context.addServletContainerInitializer(new WsSci(), Set.of(Echo.class, Private.class, Fragments.class, Halves.class,
                Pings.class, Subprotocols.class, Close.class, Closing.class, Witness.class, Header.class, Room.class, Idle.class));

        tomcat.start();
        System.out.println("ws://127.0.0.1:" + tomcat.getConnector().getLocalPort());
        while (System.in.read() >= 0) {
            // Whoever started us holds the other end.
        }
        try (var files = Files.walk(folder)) {
            files.sorted(java.util.Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        }
        System.exit(0);
    }
}
