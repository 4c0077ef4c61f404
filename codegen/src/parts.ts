// What contracts that are made without generated code share with the generator; it loads nothing else.
export { bundledProtos } from "./gen/bundled-protos.ts";
export { isIdentifier, lifecycleNames, methodName, unsafeMethodNames } from "./names.ts";
export { checkTopicText, topicFields, topicShape } from "./topic-template.ts";
