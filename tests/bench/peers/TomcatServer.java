// Tomcat, embedded: annotated endpoints of Jakarta WebSocket, with its own settings.

import jakarta.websocket.OnClose;
import jakarta.websocket.OnMessage;
import jakarta.websocket.OnOpen;
import jakarta.websocket.Session;
import jakarta.websocket.server.ServerEndpoint;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.servlets.DefaultServlet;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.websocket.server.WsSci;

public class TomcatServer {
    @ServerEndpoint("/echo")
    public static class Echo {
        @OnMessage
        public String text(String text) {
            return text;
        }
    }

    @ServerEndpoint("/bcast")
    public static class Everybody {
        private static final Set<Session> sessions = ConcurrentHashMap.newKeySet();

        @OnOpen
        public void open(Session session) {
            sessions.add(session);
        }

        @OnClose
        public void close(Session session) {
            sessions.remove(session);
        }

        @OnMessage
        public void text(String text) throws Exception {
            for (Session session : sessions) {
                session.getBasicRemote().sendText(text);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        // The folder that it works in is given, and removed by whoever gave it.
        Path folder = Path.of(arguments[0]);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(folder.toString());
        tomcat.setPort(Integer.parseInt(System.getenv("PORT")));
        var connector = tomcat.getConnector();
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("maxConnections", "60000");
        connector.setProperty("acceptCount", "4096");
        // Not `tomcat.addContext`, which looks for annotations of a library that is no part of Tomcat's.
        var context = new StandardContext();
        context.setPath("");
        context.setDocBase(folder.toString());
        context.setIgnoreAnnotations(true);
        context.addLifecycleListener(event -> {
            if (event.getType().equals(Lifecycle.CONFIGURE_START_EVENT)) context.setConfigured(true);
        });
        tomcat.getHost().addChild(context);
        context.addServletContainerInitializer(new WsSci(), Set.of(Echo.class, Everybody.class));
        // Without a servlet behind it, no request gets as far as the filter that makes WebSockets.
        Tomcat.addServlet(context, "default", new DefaultServlet()).addMapping("/");
        tomcat.start();
        tomcat.getServer().await();
    }
}
