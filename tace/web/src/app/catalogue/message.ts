/**
 * What a catalogue is made of, and the types that make a wrong key or a missing value an error of
 * the compiler.
 */

/** A text with `{places}`, or one for each plural category that the language has. */
export type Message = string | PluralMessage;

/** Chosen by `{count}` with the language's plural rules; `other` is what is left. */
export interface PluralMessage {
  zero?: string;
  one?: string;
  two?: string;
  few?: string;
  many?: string;
  other: string;
}

/** One area of one language: keys without the area's name. */
export type Catalogue = Readonly<Record<string, Message>>;

/** The same keys in another language. */
export type Translated<Source extends Catalogue> = {
  readonly [Key in keyof Source]: Source[Key] extends string ? string : PluralMessage;
};

/** The names of the places in a text. */
type PlacesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PlacesIn<Rest>
  : never;

type PlacesOf<Entry extends Message> = Entry extends string
  ? PlacesIn<Entry>
  : "count" | PlacesIn<Extract<Entry[keyof Entry], string>>;

/** What goes into a place: a number is written as the language does, a text is isolated. */
export type Value = string | number;

/** What has to be given with an entry: nothing when it has no places. */
export type Values<Entry extends Message> = [PlacesOf<Entry>] extends [never]
  ? []
  : [values: { [Name in PlacesOf<Entry>]: Name extends "count" ? number : Value }];
