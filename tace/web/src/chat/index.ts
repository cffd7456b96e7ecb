/** Chats: the list, one conversation, and the search over all of them. */

export { ChatList } from "./chat-list";
export { Conversation } from "./conversation";
export { SearchScreen } from "./search-screen";
