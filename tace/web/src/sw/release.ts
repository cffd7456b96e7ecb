/** What a build says of itself to its service worker; put in by build/release.ts. */
export interface Release {
  /** The version of the package, such as "0.1.0". */
  version: string;
  /** SHA-256 over the list of files, in hex: two builds differ in it when any file differs. */
  id: string;
  /** Path below the origin, without the first slash, to SHA-256 in hex; "index.html" is the page. */
  files: Record<string, string>;
}
