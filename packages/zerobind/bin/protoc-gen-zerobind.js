#!/usr/bin/env node
import { pluginMain } from "@zerobind/codegen";

await pluginMain();
