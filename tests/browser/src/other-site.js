import { once } from "node:events";
import { createServer } from "node:http";

/** A page of somebody else on this machine: another site for the browser, and one that it lets ask its neighbours. */
export async function otherSite(page) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end(page);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
