/** The few parts of the package that the tests use; it comes without types. */
declare module "oidc-provider" {
  import type { RequestListener } from "node:http";

  interface Saved {
    save(): Promise<string>;
  }
  export interface DeviceCode extends Saved {
    clientId: string;
    params: { scope?: string; resource?: string };
    accountId?: string;
    grantId?: string;
    scope?: string;
    resource?: string;
    authTime?: number;
    error?: string;
  }
  export interface Grant extends Saved {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
  }
  export class Provider {
    constructor(issuer: string, configuration: object);
    callback(): RequestListener;
    readonly DeviceCode: { findByUserCode(code: string): Promise<DeviceCode | undefined> };
    readonly Grant: new (of: { accountId: string; clientId: string }) => Grant;
  }
}

declare module "oidc-provider/lib/adapters/memory_adapter.js" {
  const MemoryAdapter: new (name: string) => object;
  export default MemoryAdapter;
}
