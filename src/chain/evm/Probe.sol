// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

// Never deployed: its creation code is what `eth_call` runs, so that one round trip makes many calls
// in order, each seeing what those before it have done, and tells for each whether it succeeded, the
// gas it took and the beginning of what it returned. `tests/e2e/contracts/build.mjs` compiles it and
// compares it with `probe.hex`.
contract Probe {
    struct Call {
        address target;
        uint256 gasMax;
        bytes data;
    }

    struct Result {
        bool ok;
        uint256 gasUsed;
        bytes data;
    }

    constructor(Call[] memory calls, address[] memory subjects) {
        uint256[] memory sizes = new uint256[](subjects.length);
        for (uint256 i = 0; i < subjects.length; i++) sizes[i] = subjects[i].code.length;
        Result[] memory results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) results[i] = run(calls[i]);
        bytes memory answer = abi.encode(block.timestamp, sizes, results);
        assembly {
            return(add(answer, 0x20), mload(answer))
        }
    }

    // At most 132 bytes are returned, the length of Error(string) with 64 bytes of text: what is
    // called may be anyone's contract.
    function run(Call memory what) private returns (Result memory result) {
        (address target, uint256 gasMax, bytes memory data) = (what.target, what.gasMax, what.data);
        bool ok;
        uint256 length;
        uint256 before = gasleft();
        assembly {
            ok := call(gasMax, target, 0, add(data, 0x20), mload(data), 0, 0)
            length := returndatasize()
        }
        result.gasUsed = before - gasleft();
        result.ok = ok;
        if (length > 132) length = 132;
        bytes memory returned = new bytes(length);
        assembly {
            returndatacopy(add(returned, 0x20), 0, length)
        }
        result.data = returned;
    }
}
