// Makes a fresh anvil look like the part of Base Sepolia that x402 needs: USDC, Multicall3, Permit2 and
// x402's proxy at their real addresses, and a factory of contract wallets at 0x…FAc70.
//   usage: node chain.mjs RPC-URL SENDER[,SENDER…] PAYER...
// Each SENDER gets ether for gas; every PAYER gets 1,000 USDC. Prints nothing unless something fails.
import { readFileSync } from "node:fs";
import { createTestClient, http, parseEther, parseUnits, publicActions, walletActions } from "viem";
import { baseSepolia } from "viem/chains";
// viem does not export it by name.
const { multicall3Bytecode } = await import(
  new URL("node_modules/viem/_esm/constants/contracts.js", import.meta.url));

const USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const FACTORY = "0x00000000000000000000000000000000000FAc70";
const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const PROXY = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001";
const [rpc, senders, ...payers] = process.argv.slice(2);
const built = (name) => JSON.parse(readFileSync(new URL(`build/${name}.json`, import.meta.url), "utf8"));
const { abi, code } = built("UsdcLike");
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
await node.setCode({ address: FACTORY, bytecode: built("WalletFactory").code });
await node.setCode({ address: PERMIT2, bytecode: built("Permit2Like").code });
await node.setCode({ address: PROXY, bytecode: built("ExactProxyLike").code });
const { data } = await node.call({ data: multicall3Bytecode }); // its creation returns its code
await node.setCode({ address: MULTICALL3, bytecode: data });
await call("init", "USDC", "USDC", "2", 6);
for (const payer of payers) await call("mint", payer, parseUnits("1000", 6));
for (const address of senders.split(",")) await node.setBalance({ address, value: parseEther("100") });
