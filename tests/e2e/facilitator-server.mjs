// A published facilitator behind HTTP: what the drivers of both chains share.
import { createServer } from "node:http";
import { json } from "node:stream/consumers";

async function answer(facilitator, request) {
  if (request.url === "/supported") return facilitator.getSupported();
  const { paymentPayload, paymentRequirements } = await json(request);
  if (request.url === "/verify") return facilitator.verify(paymentPayload, paymentRequirements);
  if (request.url === "/settle") return facilitator.settle(paymentPayload, paymentRequirements);
  throw new Error(`nothing at ${request.url}`);
}

// Serves /verify, /settle and /supported, and prints where.
export function serve(facilitator, port) {
  const server = createServer(async (request, response) => {
    let status = 200, body;
    try {
      body = await answer(facilitator, request);
    } catch (fault) {
      console.error(request.url, fault);
      [status, body] = [500, { error: String(fault?.message ?? fault) }];
    }
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(Number(port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
}
