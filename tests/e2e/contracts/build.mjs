// Compiles UsdcLike.sol with npm's solc into ../build/UsdcLike.json: {abi, code}.
//   usage: node contracts/build.mjs
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

const file = "UsdcLike.sol";
const output = JSON.parse(solc.compile(JSON.stringify({
  language: "Solidity",
  sources: { [file]: { content: readFileSync(new URL(file, import.meta.url), "utf8") } },
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    outputSelection: { "*": { "*": ["abi", "evm.deployedBytecode.object"] } },
  },
})));
for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
if (output.errors?.length) process.exit(1);

const { abi, evm } = output.contracts[file].UsdcLike;
const build = new URL("../build/", import.meta.url);
mkdirSync(build, { recursive: true });
writeFileSync(new URL("UsdcLike.json", build), JSON.stringify({ abi, code: "0x" + evm.deployedBytecode.object }));
