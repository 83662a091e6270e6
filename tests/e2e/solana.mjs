// A Solana node: LiteSVM's runtime and programs (Token, Token-2022, Memo, ...), which are the real
// ones, behind the JSON-RPC that gateway, clients and facilitators ask. It takes itself for devnet.
//   usage: node solana.mjs [SLOT_MS]
// Prints "listening on 127.0.0.1:PORT". What a test may do besides what a node can:
//   surfnet_setAccount [address, {lamports, owner, data: hex}]
//   surfnet_drop [count]   so many transactions are called taken, and forgotten
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { getBase58Codec } from "@solana/kit";

const { Account, Clock, FailedTransactionMetadata, LiteSvm } = createRequire(import.meta.url)("litesvm-linux-x64-gnu");
const SLOT_MS = Number(process.argv[2] ?? 400);
const GENESIS = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";
const BLOCKS_TAKEN = 150, FINAL_DEPTH = 32;
// Source: Solana, TransactionError. The runtime's binding has only their numbers.
const ERRORS = ["AccountInUse", "AccountLoadedTwice", "AccountNotFound", "ProgramAccountNotFound",
  "InsufficientFundsForFee", "InvalidAccountForFee", "AlreadyProcessed", "BlockhashNotFound"];

const base58 = getBase58Codec();
const key = text => Uint8Array.from(base58.encode(text));
const text = bytes => base58.decode(bytes);
const runtime = new LiteSvm();
for (const set of ["setSysvars", "setBuiltins", "setPrecompiles", "setDefaultPrograms"]) runtime[set]?.();
runtime.setBlockhashCheck(false); // it would take the last one only; ours are below
const born = Date.now();
const first = { slot: 0, seconds: Math.floor(born / 1000) };
const hashes = new Map(); // block hash -> slot
const landed = new Map(); // name -> {slot, wire, err, accounts}
let dropping = 0;

const slot = () => Math.floor((Date.now() - born) / SLOT_MS);
const finalized = () => Math.max(0, slot() - FINAL_DEPTH);
const at = commitment => (commitment === "processed" ? slot() : commitment === "confirmed" ? Math.max(0, slot() - 1) : finalized());
const timeOf = block => first.seconds + Math.floor((block * SLOT_MS) / 1000);
const about = (value, where = slot()) => ({ context: { slot: where, apiVersion: "4.2.2" }, value });

function latestBlockhash() {
  let hash = [...hashes.entries()].at(-1);
  if (hash?.[1] !== slot()) hashes.set((hash = [text(randomBytes(32)), slot()])[0], hash[1]);
  return { blockhash: hash[0], lastValidBlockHeight: hash[1] + BLOCKS_TAKEN };
}
const isYoung = hash => hashes.has(hash) && slot() - hashes.get(hash) <= BLOCKS_TAKEN;

function account(address) {
  const found = runtime.getAccount(key(address));
  if (!found || found.lamports() === 0n) return null;
  const data = [Buffer.from(found.data()).toString("base64"), "base64"];
  return { lamports: Number(found.lamports()), owner: text(found.owner()), data, executable: found.executable(), rentEpoch: 0, space: found.data().length };
}

// Only as far as is asked for: accounts and block of a message.
function parts(wire) {
  const count = wire[0], message = wire.subarray(1 + 64 * count);
  const from = message[0] & 0x80 ? 4 : 3; // behind version and header
  const keys = Array.from({ length: message[from] }, (_, i) => text(message.subarray(from + 1 + 32 * i, from + 33 + 32 * i)));
  const hashAt = from + 1 + 32 * keys.length;
  return { name: text(wire.subarray(1, 65)), count, keys, blockhash: text(message.subarray(hashAt, hashAt + 32)) };
}

function error(failed) {
  const err = failed.err();
  if (typeof err === "number") return ERRORS[err] ?? `Error${err}`;
  if ("accountIndex" in err) return { InsufficientFundsForRent: { account_index: err.accountIndex } };
  if (!("index" in err)) return "Other";
  const inner = err.err();
  return { InstructionError: [err.index, typeof inner === "number" ? `Error${inner}` : { Custom: inner.code }] };
}

const now = () => runtime.setClock(new Clock(BigInt(slot()), 0n, 0n, 0n, BigInt(timeOf(slot()))));

function simulate(wire, { sigVerify = false } = {}) {
  const { blockhash, name } = parts(wire);
  const failed = err => ({ err, logs: [], accounts: null, unitsConsumed: 0 });
  if (!isYoung(blockhash)) return failed("BlockhashNotFound");
  if (landed.has(name)) return failed("AlreadyProcessed");
  now();
  runtime.setSigverify(sigVerify);
  const result = runtime.simulateVersionedTransaction(wire);
  const err = result instanceof FailedTransactionMetadata ? error(result) : null;
  const meta = result.meta();
  return { ...failed(err), logs: meta.logs(), unitsConsumed: Number(meta.computeUnitsConsumed()) };
}

function send(wire, { skipPreflight = false } = {}) {
  const { name, keys, blockhash } = parts(wire);
  if (!skipPreflight) {
    const { err, logs } = simulate(wire, { sigVerify: true });
    if (err) throw { code: -32002, message: `Transaction simulation failed: ${JSON.stringify(err)}`, data: { err, logs } };
  }
  if (dropping > 0) dropping -= 1;
  else if (!landed.has(name) && isYoung(blockhash)) {
    now();
    runtime.setSigverify(true);
    const result = runtime.sendVersionedTransaction(wire);
    const err = result instanceof FailedTransactionMetadata ? error(result) : null;
    if (typeof err !== "string") landed.set(name, { slot: slot(), wire, err, keys });
  }
  return name;
}

function status(name) {
  const found = landed.get(name);
  if (!found) return null;
  const depth = slot() - found.slot;
  const confirmationStatus = depth >= FINAL_DEPTH ? "finalized" : depth >= 1 ? "confirmed" : "processed";
  return { slot: found.slot, confirmations: depth >= FINAL_DEPTH ? null : depth, err: found.err, confirmationStatus, status: found.err ? { Err: found.err } : { Ok: null } };
}

// The fee of a payment's message: two signatures, and what its first two instructions say.
function fee(message) {
  const from = message[0] & 0x80 ? 4 : 3, keys = message[from];
  const rest = message.subarray(from + 1 + 32 * keys + 33);
  const limit = rest.readUInt32LE(4), price = rest.readBigUInt64LE(8 + 4);
  return 5000 * message[from - 3] + Math.ceil((limit * Number(price)) / 1e6);
}

const wireOf = data => Buffer.from(data, "base64");
const methods = {
  getHealth: () => "ok",
  getVersion: () => ({ "solana-core": "4.2.2", "feature-set": 0 }),
  getGenesisHash: () => GENESIS,
  getSlot: how => at(how?.commitment),
  getBlockHeight: how => at(how?.commitment),
  getLatestBlockhash: () => about(latestBlockhash()),
  isBlockhashValid: hash => about(isYoung(hash)),
  getBalance: address => about(account(address)?.lamports ?? 0),
  getAccountInfo: address => about(account(address)),
  getMultipleAccounts: addresses => about(addresses.map(account)),
  getTokenAccountBalance: address => {
    const amount = wireOf(account(address).data[0]).readBigUInt64LE(64).toString();
    return about({ amount, decimals: 6, uiAmountString: amount });
  },
  getFeeForMessage: message => about(fee(wireOf(message))),
  getMinimumBalanceForRentExemption: length => Number(runtime.minimumBalanceForRentExemption(BigInt(length))),
  simulateTransaction: (wire, how) => about(simulate(wireOf(wire), how)),
  sendTransaction: (wire, how) => send(wireOf(wire), how),
  getSignatureStatuses: names => about(names.map(status)),
  getTransaction: name => {
    const found = landed.get(name);
    if (!found || found.slot >= slot()) return null;
    return { slot: found.slot, blockTime: timeOf(found.slot), meta: { err: found.err }, transaction: [found.wire.toString("base64"), "base64"], version: 0 };
  },
  getSignaturesForAddress: (address, how) =>
    [...landed.entries()].reverse().filter(([, found]) => found.keys.includes(address)).slice(0, how?.limit ?? 1000)
      .map(([signature, found]) => ({ signature, slot: found.slot, err: found.err, blockTime: timeOf(found.slot), confirmationStatus: status(signature).confirmationStatus })),
  getBlocks: (from, to) => Array.from({ length: Math.max(0, Math.min(to, finalized()) - from + 1) }, (_, i) => from + i),
  getBlockTime: timeOf,
  getFirstAvailableBlock: () => 0,
  surfnet_setAccount: (address, { lamports = 1_461_600, owner = "11111111111111111111111111111111", data = "" }) => {
    runtime.setAccount(key(address), new Account(BigInt(lamports), Buffer.from(data, "hex"), key(owner), false, 0n));
    return about(null);
  },
  surfnet_drop: count => about((dropping = count)),
};

function answer({ id = null, method, params = [] }) {
  try {
    if (!(method in methods)) throw { code: -32601, message: `${method} is not served here` };
    return { jsonrpc: "2.0", id, result: methods[method](...params) };
  } catch (fault) {
    if (fault.stack) console.error(method, fault.stack);
    const { code = -32603, message = String(fault), data } = fault;
    return { jsonrpc: "2.0", id, error: { code, message, data } };
  }
}

const server = createServer(async (request, response) => {
  const asked = await json(request);
  const body = Array.isArray(asked) ? asked.map(answer) : answer(asked);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
});
server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
