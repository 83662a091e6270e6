// npm @x402/fetch with @x402/evm: the second protocol only, so that a v1 answer cannot save us.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { appendPaymentIdentifierToExtensions } from "@x402/extensions/payment-identifier";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { account, drive } from "./driver.mjs";

const client = new x402Client().register("eip155:*", new ExactEvmScheme(account));
const name = process.env.X402_PAYMENT_ID;
if (name) {
  client.onBeforePaymentCreation(async ({ paymentRequired }) => {
    appendPaymentIdentifierToExtensions(paymentRequired.extensions, name);
  });
}
await drive("ts-fetch-v2", wrapFetchWithPayment(fetch, client), "payment-response", decodePaymentResponseHeader);
