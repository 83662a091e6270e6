// Compiles the contracts with npm's solc into ../build/NAME.json: {abi, code}.
//   usage: node contracts/build.mjs [bless]
// Also compiles the gateway's own Probe.sol and compares it with probe.hex; `bless` rewrites that.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

function compile(url, evmVersion) {
  const file = url.pathname.split("/").at(-1);
  const output = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { [file]: { content: readFileSync(url, "utf8") } },
    settings: {
      evmVersion,
      optimizer: { enabled: true, runs: 200 },
      metadata: { appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  })));
  for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
  if (output.errors?.length) process.exit(1);
  return output.contracts[file];
}

const build = new URL("../build/", import.meta.url);
mkdirSync(build, { recursive: true });
for (const source of ["UsdcLike.sol", "Wallets.sol", "Tokens.sol", "ExactProxy.sol", "UptoProxy.sol"]) {
  for (const [name, { abi, evm }] of Object.entries(compile(new URL(source, import.meta.url), "cancun"))) {
    const code = "0x" + evm.deployedBytecode.object;
    writeFileSync(new URL(`${name}.json`, build), JSON.stringify({ abi, code }));
  }
}

// The oldest rules that any chain still has.
const ours = new URL("../../../src/chain/evm/", import.meta.url);
const hex = compile(new URL("Probe.sol", ours), "paris").Probe.evm.bytecode.object + "\n";
if (process.argv[2] === "bless") writeFileSync(new URL("probe.hex", ours), hex);
if (readFileSync(new URL("probe.hex", ours), "utf8") !== hex) {
  console.error("src/chain/evm/probe.hex is not what Probe.sol compiles to: run with `bless`");
  process.exit(1);
}
