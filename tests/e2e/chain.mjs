// Makes a fresh anvil look like the part of Base Sepolia, Base or Polygon that x402 needs: USDC, Multicall3, Permit2 and
// x402's proxies for it at their real addresses; a factory of contract wallets at 0x…FAc70, an ERC-20
// without EIP-3009 at 0x…20 and one with EIP-2612 at 0x…2612.
// Multicall3 is viem's copy, Permit2 the one in npm's @1inch/solidity-utils 6.9.16; the others are ours.
//   usage: node chain.mjs RPC-URL SENDER[,SENDER…] PAYER...
// Each SENDER gets ether for gas; every PAYER gets 1,000 USDC. Prints nothing unless something fails.
import { readFileSync } from "node:fs";
import { createTestClient, http, keccak256, parseEther, parseUnits, publicActions, walletActions } from "viem";
import { base, baseSepolia, polygon } from "viem/chains";
// viem does not export it by name.
const { multicall3Bytecode } = await import(
  new URL("node_modules/viem/_esm/constants/contracts.js", import.meta.url));

const PLACES = [
  [baseSepolia, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"],
  [base, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin"],
  [polygon, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin"],
];
const MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const FACTORY = "0x00000000000000000000000000000000000FAc70";
const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
const PERMIT2_CODE = "0x463331fa7a0d5f07488e42c37b461bb56a822145c161a821fbafe7d4e916b546";
const PROXY = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001";
const UPTO_PROXY = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";
const PLAIN_TOKEN = "0x0000000000000000000000000000000000000020";
const PERMIT_TOKEN = "0x0000000000000000000000000000000000002612";
const [rpc, senders, ...payers] = process.argv.slice(2);
const built = (name) => JSON.parse(readFileSync(new URL(`build/${name}.json`, import.meta.url), "utf8"));
const { abi, code } = built("UsdcLike");
const transport = http(rpc);
const id = Number(await transport({}).request({ method: "eth_chainId" }));
const [chain, USDC, NAME] = PLACES.find(([{ id: known }]) => known === id);
const node = createTestClient({ mode: "anvil", chain, transport, pollingInterval: 20 })
  .extend(publicActions)
  .extend(walletActions);

const [account] = await node.getAddresses(); // anvil's own, unlocked and rich
async function call(functionName, ...args) {
  const hash = await node.writeContract({ address: USDC, abi, functionName, args, account });
  const { status } = await node.waitForTransactionReceipt({ hash });
  if (status !== "success") throw new Error(`${functionName} was reverted`);
}

// The code that is on every chain but for its two immutables, which here are zero: it works out its
// domain for whatever chain it finds itself on.
function publishedPermit2() {
  const file = new URL("node_modules/@1inch/solidity-utils/dist/src/permit2.json", import.meta.url);
  const { bytecode } = JSON.parse(readFileSync(file, "utf8"));
  if (keccak256(bytecode) !== PERMIT2_CODE) throw new Error("this is not the code of Permit2");
  return bytecode;
}

await node.setCode({ address: USDC, bytecode: code });
await node.setCode({ address: FACTORY, bytecode: built("WalletFactory").code });
await node.setCode({ address: PERMIT2, bytecode: publishedPermit2() });
await node.setCode({ address: PROXY, bytecode: built("ExactProxyLike").code });
await node.setCode({ address: UPTO_PROXY, bytecode: built("UptoProxyLike").code });
const { data } = await node.call({ data: multicall3Bytecode }); // its creation returns its code
await node.setCode({ address: MULTICALL3, bytecode: data });
await node.setCode({ address: PLAIN_TOKEN, bytecode: built("PlainToken").code });
await node.setCode({ address: PERMIT_TOKEN, bytecode: built("PermitToken").code });
await call("init", NAME, "USDC", "2", 6);
for (const payer of payers) await call("mint", payer, parseUnits("1000", 6));
for (const address of senders.split(",")) await node.setBalance({ address, value: parseEther("100") });
