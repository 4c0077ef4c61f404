// Services as decorated classes; loads reflect-metadata.
export * from "@zerobind/core/decorators";
