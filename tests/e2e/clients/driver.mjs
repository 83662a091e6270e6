// What the TypeScript drivers share: arguments in, one paid request, one JSON line out.
//   usage: X402_PRIVATE_KEY=0x… node CLIENT.mjs URL METHOD BODY-FILE CONTENT-TYPE OUT-FILE
import { readFileSync, writeFileSync } from "node:fs";
import { privateKeyToAccount } from "viem/accounts";

export const account = privateKeyToAccount(process.env.X402_PRIVATE_KEY);

// Sends the request with `paidFetch`, keeps the answer's body in OUT-FILE and prints what happened.
export async function drive(client, paidFetch, receiptHeader, decodeReceipt) {
  const [url, method, bodyFile, contentType, outFile] = process.argv.slice(2);
  const result = { client, status: 0, paid: false, transaction: null, network: null, payer: null };
  try {
    const body = readFileSync(bodyFile);
    const response = await paidFetch(url, { method, body, headers: { "content-type": contentType } });
    const answer = Buffer.from(await response.arrayBuffer());
    writeFileSync(outFile, answer);
    const header = response.headers.get(receiptHeader);
    const { success = false, ...receipt } = header ? decodeReceipt(header) : {};
    Object.assign(result, receipt, {
      status: response.status,
      paid: success,
      contentType: response.headers.get("content-type"),
      bodyBytes: answer.length,
      ...(response.ok ? {} : { error: answer.toString().slice(0, 500) }),
    });
  } catch (fault) {
    result.error = String(fault?.stack ?? fault);
  }
  console.log(JSON.stringify(result));
}
