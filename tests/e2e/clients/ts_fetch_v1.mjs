// npm x402-fetch: the first protocol.
import { createSigner, decodeXPaymentResponse, wrapFetchWithPayment } from "x402-fetch";
import { drive } from "./driver.mjs";

const signer = await createSigner("base-sepolia", process.env.X402_PRIVATE_KEY);
await drive("ts-fetch-v1", wrapFetchWithPayment(fetch, signer), "x-payment-response", decodeXPaymentResponse);
