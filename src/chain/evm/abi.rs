//! The calls that are made and the events that are read.
#![allow(missing_docs, unreachable_pub, reason = "written by the macro")]

alloy::sol! {
    /// EIP-3009 and what goes with it.
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        /// Of EIP-2612.
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function authorizationState(address authorizer, bytes32 nonce)
            external view returns (bool);
    }

    /// Of ERC-1271.
    interface Wallet {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
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

    /// Source: Uniswap/permit2 `SignatureTransfer.sol`, `PermitErrors.sol`.
    interface Permit2 {
        error InvalidNonce();
        error SignatureExpired(uint256 signatureDeadline);
        error InvalidSigner();
        error InvalidSignature();
        error InvalidSignatureLength();
        error InvalidContractSignature();

        function nonceBitmap(address owner, uint256 word) external view returns (uint256);
    }

    struct TokenPermissions {
        address token;
        uint256 amount;
    }
    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }
    struct Witness {
        address to;
        uint256 validAfter;
    }
    #[derive(Debug, PartialEq, Eq)]
    struct Eip2612Permit {
        uint256 value;
        uint256 deadline;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// x402ExactPermit2Proxy. Source: x402 `scheme_exact_evm.md`, annex; npm `@x402/evm` 2.27.
    interface Proxy {
        event Settled();
        event SettledWithPermit();

        error PaymentTooEarly();

        function settle(
            PermitTransferFrom permit, address owner, Witness witness, bytes signature) external;
        function settleWithPermit(
            Eip2612Permit permit2612, PermitTransferFrom permit, address owner, Witness witness,
            bytes signature) external;
    }

    struct UptoWitness {
        address to;
        address facilitator;
        uint256 validAfter;
    }

    /// x402UptoPermit2Proxy, whose events are the other's. Source: npm `@x402/evm` 2.27.
    interface UptoProxy {
        error UnauthorizedFacilitator();

        function settle(
            PermitTransferFrom permit, uint256 amount, address owner, UptoWitness witness,
            bytes signature) external;
        function settleWithPermit(
            Eip2612Permit permit2612, PermitTransferFrom permit, uint256 amount, address owner,
            UptoWitness witness, bytes signature) external;
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
