/** The design system: what screens are made of. */

export { Avatar, type AvatarProps } from "./avatar";
export { Badge } from "./badge";
export { Banner, type BannerProps } from "./banner";
export {
  Button,
  type ButtonProps,
  IconButton,
  type IconButtonProps,
  IconLink,
  LinkButton,
} from "./button";
export { CopyButton } from "./copy-button";
export { Dialog, type DialogProps } from "./dialog";
export { EmptyState } from "./empty-state";
export { Feedback, FeedbackProvider, FeedbackRegion, useFeedback } from "./feedback";
export {
  Field,
  type FieldProps,
  Select,
  type SelectProps,
  TextArea,
  type TextAreaProps,
} from "./field";
export { FileButton } from "./file-button";
export { Icon, type IconName } from "./icon";
export { ListButton, type ListButtonProps } from "./list-button";
export { Logo } from "./logo";
export { Menu, type MenuAnchor, MenuButton, type MenuItem, type MenuProps } from "./menu";
export { Progress, Spinner } from "./progress";
export { QrCode, QrModules } from "./qr-code";
export { Screen, type ScreenProps } from "./screen";
export { Tabs } from "./tabs";
export { Toggle, type ToggleProps } from "./toggle";
