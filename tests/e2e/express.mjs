// A file behind the published middleware for Express (@x402/express), for tests/bench/run.
//   usage: node express.mjs FACILITATOR-URL [PORT]
// Prints "listening on 127.0.0.1:PORT" once it serves GET /paid for what tests/bench/gateway.toml asks.
import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import express from "express";

const [url, port = "0"] = process.argv.slice(2);
const accepts = {
  scheme: "exact", price: "$0.05", network: "eip155:84532",
  payTo: "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
};
const server = new x402ResourceServer(new HTTPFacilitatorClient({ url }))
  .register("eip155:84532", new ExactEvmScheme());
const body = "x".repeat(1023) + "\n";
const listening = express()
  .use(paymentMiddleware({ "GET /paid": { accepts } }, server))
  .get("/paid", (_, response) => response.type("text/plain").send(body))
  .listen(Number(port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${listening.address().port}`));
