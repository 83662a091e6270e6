// npm @x402/fetch with the extension `sign-in-with-x` of @x402/extensions: it signs in wherever a 402
// offers it, and pays where that is refused. With X402_WALLET it signs for a contract; with X402_ON
// "solana" it has a key of Solana, and nothing to pay with.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { createSIWxClientExtension } from "@x402/extensions/sign-in-with-x";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";
import { account, drive } from "./driver.mjs";

const client = new x402Client();
const wallet = process.env.X402_WALLET;
const signer = wallet ? { ...account, address: wallet } : account;
if (process.env.X402_ON === "solana") {
  const seed = Buffer.from(process.env.X402_PRIVATE_KEY.slice(2), "hex");
  const signers = [await createKeyPairSignerFromPrivateKeyBytes(seed)];
  client.registerExtension(createSIWxClientExtension({ signers }));
} else {
  client.register("eip155:*", new ExactEvmScheme(signer));
  client.registerExtension(createSIWxClientExtension({ signers: [signer] }));
}
await drive("ts-fetch-sign-in", wrapFetchWithPayment(fetch, client), "payment-response", decodePaymentResponseHeader);
