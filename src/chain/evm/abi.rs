//! The calls that are made and the events that are read.
#![allow(missing_docs, unreachable_pub, reason = "written by the macro")]

alloy::sol! {
    /// EIP-3009 and what goes with it.
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        function balanceOf(address owner) external view returns (uint256);
        function authorizationState(address authorizer, bytes32 nonce)
            external view returns (bool);
    }

    interface ByKey {
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
    }

    /// Of FiatTokenV2_2: the signature as the wallet itself understands it.
    interface ByContract {
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, bytes signature) external;
    }

    interface Multicall3 {
        struct Call3 {
            address target;
            bool allowFailure;
            bytes callData;
        }
        struct Result {
            bool success;
            bytes returnData;
        }
        function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory);
    }

    /// `Probe.sol`.
    struct ProbeCall {
        address target;
        uint256 gasMax;
        bytes data;
    }
    struct ProbeResult {
        bool ok;
        uint256 gasUsed;
        bytes data;
    }

    /// What a signature under ERC-6492 wraps.
    struct Wrapped {
        address factory;
        bytes deploy;
        bytes signature;
    }
}
