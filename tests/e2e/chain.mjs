// Makes a fresh anvil look like the part of Base Sepolia that x402 needs: USDC at its real address.
//   usage: node chain.mjs RPC-URL FACILITATOR PAYER...
// FACILITATOR gets ether for gas; every PAYER gets 1,000 USDC. Prints nothing unless something fails.
import { readFileSync } from "node:fs";
import { createTestClient, http, parseEther, parseUnits, publicActions, walletActions } from "viem";
import { baseSepolia } from "viem/chains";

const USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const [rpc, facilitator, ...payers] = process.argv.slice(2);
const { abi, code } = JSON.parse(readFileSync(new URL("build/UsdcLike.json", import.meta.url), "utf8"));
const node = createTestClient({ mode: "anvil", chain: baseSepolia, transport: http(rpc), pollingInterval: 20 })
  .extend(publicActions)
  .extend(walletActions);

const [account] = await node.getAddresses(); // anvil's own, unlocked and rich
async function call(functionName, ...args) {
  const hash = await node.writeContract({ address: USDC, abi, functionName, args, account });
  const { status } = await node.waitForTransactionReceipt({ hash });
  if (status !== "success") throw new Error(`${functionName} was reverted`);
}

await node.setCode({ address: USDC, bytecode: code });
await call("init", "USDC", "USDC", "2", 6);
for (const payer of payers) await call("mint", payer, parseUnits("1000", 6));
await node.setBalance({ address: facilitator, value: parseEther("100") });
