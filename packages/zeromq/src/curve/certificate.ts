/** What a certificate says. Keys are as they stand there: nobody has checked them yet. */
export interface Certificate {
  readonly publicKey: string;
  /** Only in secret certificates. */
  readonly secretKey: string | undefined;
  /** The section `metadata`, such as `name` and `roles`. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What is wrong with a certificate, for the end of a sentence. It has nothing of what stands there but names of properties. */
export class CertificateError extends Error {
  override readonly name: string = "CertificateError";
}

/**
 * Reads a certificate of CZMQ, which is in ZPL (ZeroMQ RFC 4): sections, and in them `name = value`, indented. Throws
 * CertificateError for anything that other readers might understand differently, such as a key that stands there twice.
 */
export function parseCertificate(text: string): Certificate {
  const sections = sectionsOf(text);
  const curve = sections.get("curve");
  if (curve === undefined) throw new CertificateError('has no section "curve"');
  const publicKey = curve.get("public-key");
  if (publicKey === undefined) throw new CertificateError('has no "public-key" in its section "curve"');
  return { publicKey, secretKey: curve.get("secret-key"), metadata: sections.get("metadata") ?? new Map() };
}

/** All sections by name. Those that a certificate does not have are read like others, and ignored. */
function sectionsOf(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let depth: string | undefined;
  for (const [index, line] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const where = `in line ${index + 1}`;
    const [, indent = "", rest = ""] = /^([ \t]*)(.*)$/s.exec(line) ?? [];
    if (rest === "" || rest.startsWith("#")) continue;
    const { name, value } = propertyOf(rest, where);
    if (indent === "") {
      if (sections.has(name)) throw new CertificateError(`has the section "${name}" twice, ${where}`);
      sections.set(name, (section = new Map<string, string>()));
      depth = undefined;
    } else {
      if (section === undefined) throw new CertificateError(`has "${name}" before any section, ${where}`);
      if (indent !== (depth ??= indent)) throw new CertificateError(`has "${name}" indented unlike others, ${where}`);
      if (section.has(name)) throw new CertificateError(`has "${name}" twice, ${where}`);
      section.set(name, value);
    }
  }
  return sections;
}

function propertyOf(text: string, where: string): { name: string; value: string } {
  const [all = "", name = "", equals] = /^([\w$@.&+/-]+)[ \t]*(=?)[ \t]*/.exec(text) ?? [];
  if (name === "") throw new CertificateError(`is not in the format of certificates ${where}`);
  // What looks unlike a name may be the beginning of a key.
  const what = /^[a-z][a-z-]*$/.test(name) ? `of "${name}" ${where}` : where;
  return { name, value: valueOf(text.slice(all.length), equals === "=", what) };
}

function valueOf(text: string, expected: boolean, what: string): string {
  const [quote] = text;
  if (expected && (quote === '"' || quote === "'")) {
    const end = text.indexOf(quote, 1);
    if (end < 0) throw new CertificateError(`lacks the quote at the end ${what}`);
    if (!/^\s*(#|$)/.test(text.slice(end + 1))) throw new CertificateError(`has something behind the value ${what}`);
    return text.slice(1, end);
  }
  const value = text.replace(/#.*$/s, "").trimEnd();
  if (!expected && value !== "") throw new CertificateError(`lacks the "=" ${what}`);
  return value;
}

const banners = {
  public: [
    "ZeroMQ CURVE Public Certificate",
    "Exchange securely, or use a secure mechanism to verify the contents",
    "of this file after exchange.",
  ],
  secret: [
    "ZeroMQ CURVE **Secret** Certificate",
    "DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.",
  ],
} as const;

/** The text of a certificate as CZMQ and pyzmq read it, a secret one if there is a secret key. TypeError for metadata that they could not. */
export function formatCertificate({ publicKey, secretKey, metadata }: Certificate): string {
  const lines = (secretKey === undefined ? banners.public : banners.secret).map((line) => `#   ${line}`);
  lines.push("", "metadata");
  for (const [name, value] of metadata) {
    checkMetadata(name, value);
    lines.push(`    ${name} = "${value}"`);
  }
  lines.push("curve", `    public-key = "${publicKey}"`);
  if (secretKey !== undefined) lines.push(`    secret-key = "${secretKey}"`);
  return `${lines.join("\n")}\n`;
}

function checkMetadata(name: string, value: string): void {
  if (!/^[A-Za-z0-9$@.&+_-]+$/.test(name)) throw new TypeError(`a certificate can have no metadata "${name}"`);
  // There are no escapes in the format, CZMQ reads lines of 1,024 bytes, and takes values for formats of printf.
  if (!/^[^"%\p{Cc}]{0,255}$/u.test(value))
    throw new TypeError(
      `metadata "${name}" of a certificate must have at most 255 characters, without quotes, percent signs and control characters`,
    );
}
