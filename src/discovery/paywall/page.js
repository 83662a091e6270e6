'use strict';
(() => {
  const { required, offers } = JSON.parse(document.getElementById('terms').textContent);
  const at = (id) => document.getElementById(id);
  const url = location.href.split('#')[0];
  // A payment whose outcome is open. It outlives a reload, so that nobody pays twice.
  const OPEN = `tollgate:${url}`;
  const NO_WALLET =
    'No wallet was found in this browser. A browser wallet or any x402 client can pay.';

  const element = (name, text, more = {}) =>
    Object.assign(document.createElement(name), { textContent: text, ...more });
  const say = (text, bad = false) => {
    at('said').textContent = text;
    at('said').className = bad ? 'bad' : '';
  };
  const short = (address) => `${address.slice(0, 6)}…${address.slice(-4)}`;

  // Every wallet that announces itself (EIP-6963), and the one that older ones leave (EIP-1193).
  const wallets = new Map();
  const available = () => {
    if (wallets.size > 0) return [...wallets.values()];
    return window.ethereum ? [{ name: 'your wallet', provider: window.ethereum }] : [];
  };

  function show() {
    at('what').textContent = required.resource.description || 'Payment required';
    at('url').textContent = url;
    const prices = [...new Set(offers.map((offer) => `$${offer.dollars}`))];
    at('price').textContent = prices.join(' or ');
    document.title = `${prices[0] ?? ''} · ${at('what').textContent}`;
    const list = at('offers');
    list.replaceChildren();
    for (const offer of offers) {
      const box = element('div', '', { className: 'offer' });
      const terms = required.accepts[offer.at];
      const text = element('p', `$${offer.dollars} on ${offer.network}`);
      text.append(element('small', `to ${terms.payTo}`));
      box.append(text);
      if (!offer.chain) {
        box.append(element('small', 'by an x402 client'));
      } else {
        for (const wallet of available()) {
          const label = wallets.size > 0 ? `Pay with ${wallet.name}` : 'Pay';
          const button = element('button', label, { type: 'button' });
          button.addEventListener('click', () => attempt(() => pay(wallet.provider, offer)));
          box.append(button);
        }
      }
      list.append(box);
    }
    const open = sessionStorage.getItem(OPEN);
    at('again').hidden = !open;
    lock(Boolean(open));
    if (open) {
      say('A payment was signed here, and its outcome is open. Send it again: it is taken once.');
    } else if (available().length === 0) {
      say(NO_WALLET);
    } else if (at('said').textContent === NO_WALLET) {
      // One has announced itself since.
      say('');
    }
  }

  const lock = (locked) => at('offers').querySelectorAll('button').forEach((button) => {
    button.disabled = locked;
  });

  async function attempt(what) {
    lock(true);
    at('same').disabled = true;
    try {
      await what();
    } catch (error) {
      // 4001: whoever holds the wallet said no.
      say(error?.code === 4001 ? 'Not signed; nothing was paid.' : told(error), true);
    } finally {
      const open = sessionStorage.getItem(OPEN);
      at('same').disabled = false;
      at('again').hidden = !open;
      lock(Boolean(open));
    }
  }

  const told = (error) => String(error?.message ?? error);

  async function pay(provider, offer) {
    const terms = required.accepts[offer.at];
    say('Waiting for the wallet…');
    const [from] = await provider.request({ method: 'eth_requestAccounts' });
    if (!from) throw new Error('The wallet has no account.');
    const chainId = `0x${offer.chain.toString(16)}`;
    if (BigInt(await provider.request({ method: 'eth_chainId' })) !== BigInt(offer.chain)) {
      say(`Waiting for the wallet to change to ${offer.network}…`);
      await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] });
    }
    const now = Math.floor(Date.now() / 1000);
    const authorization = {
      from,
      to: terms.payTo,
      value: terms.amount,
      validAfter: String(now - 600),
      validBefore: String(now + terms.maxTimeoutSeconds),
      nonce: `0x${hex(crypto.getRandomValues(new Uint8Array(32)))}`,
    };
    const field = (name, type) => ({ name, type });
    const typed = {
      domain: {
        name: terms.extra.name,
        version: terms.extra.version,
        chainId: offer.chain,
        verifyingContract: terms.asset,
      },
      primaryType: 'TransferWithAuthorization',
      types: {
        EIP712Domain: [
          field('name', 'string'), field('version', 'string'), field('chainId', 'uint256'),
          field('verifyingContract', 'address'),
        ],
        TransferWithAuthorization: [
          field('from', 'address'), field('to', 'address'), field('value', 'uint256'),
          field('validAfter', 'uint256'), field('validBefore', 'uint256'),
          field('nonce', 'bytes32'),
        ],
      },
      message: authorization,
    };
    say(`Sign for $${offer.dollars} from ${short(from)} on ${offer.network}…`);
    const params = [from, JSON.stringify(typed)];
    const signature = await provider.request({ method: 'eth_signTypedData_v4', params });
    const payment = {
      x402Version: 2,
      resource: required.resource,
      accepted: terms,
      payload: { signature, authorization },
    };
    const bytes = new TextEncoder().encode(JSON.stringify(payment));
    sessionStorage.setItem(OPEN, btoa(String.fromCharCode(...bytes)));
    await send(offer);
  }

  async function send(offer) {
    say('Paying…');
    const headers = { 'PAYMENT-SIGNATURE': sessionStorage.getItem(OPEN), Accept: '*/*' };
    let answer;
    try {
      answer = await fetch(url, { headers, cache: 'no-store' });
    } catch {
      say('The connection broke. Send the same payment again: it is taken once.', true);
      return;
    }
    const receipt = read(answer.headers.get('PAYMENT-RESPONSE'));
    if (answer.ok) {
      const body = await answer.blob();
      sessionStorage.removeItem(OPEN);
      paid(offer, receipt);
      await reveal(body, answer.headers.get('Content-Type') ?? '');
      return;
    }
    const refused = await answer.json().catch(() => ({}));
    // As long as it may still be taken, or still be answered, nothing is paid anew.
    if ('consumed' in refused && refused.retriable !== true) sessionStorage.removeItem(OPEN);
    say(refused.message ?? `The server answered ${answer.status}.`, true);
  }

  function read(header) {
    try {
      return header && JSON.parse(atob(header));
    } catch {
      return undefined;
    }
  }

  function paid(offer, receipt) {
    say(receipt?.success ? 'Paid. ' : 'Answered.');
    const explorer = offer?.explorer;
    if (!receipt?.transaction) return;
    if (explorer) {
      const href = explorer + encodeURIComponent(receipt.transaction);
      const more = { href, rel: 'noreferrer', target: '_blank' };
      at('said').append(element('a', 'See the transaction', more));
    } else {
      at('said').append(element('code', receipt.transaction));
    }
  }

  async function reveal(body, type) {
    const place = at('answer');
    const kind = type.split(';')[0].trim().toLowerCase();
    const source = URL.createObjectURL(body);
    const shown = (name) => element(name, '', { src: source });
    const save = element('a', 'Save the answer', { href: source, download: 'answer' });
    if (kind.startsWith('image/')) {
      place.replaceChildren(Object.assign(shown('img'), { alt: 'The answer' }));
    } else if (kind.startsWith('video/') || kind.startsWith('audio/')) {
      place.replaceChildren(Object.assign(shown(kind.slice(0, 5)), { controls: true }));
    } else if (kind.startsWith('text/') || kind.endsWith('json') || kind.endsWith('xml')) {
      const text = await body.text();
      place.replaceChildren(element('pre', kind.endsWith('json') ? pretty(text) : text));
    } else {
      place.replaceChildren();
    }
    place.append(element('p', ''));
    place.lastChild.append(save);
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

  at('same').addEventListener('click', () => attempt(() => send()));
  at('forget').addEventListener('click', () => {
    sessionStorage.removeItem(OPEN);
    say('');
    show();
  });
  addEventListener('eip6963:announceProvider', ({ detail }) => {
    wallets.set(detail.info.uuid, { name: detail.info.name, provider: detail.provider });
    show();
  });
  show();
  dispatchEvent(new Event('eip6963:requestProvider'));
})();
