/** A certificate for pages over https, made anew each time. */

import { spawnSync } from 'node:child_process';

/** Undefined where there is no openssl. */
export function selfSigned(): { readonly key: string; readonly cert: string } | undefined {
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=127.0.0.1',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ];
  const { status, stdout } = spawnSync('openssl', [...args, '-keyout', '-', '-out', '-'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  const begin = stdout.indexOf('-----BEGIN CERTIFICATE-----');
  return { key: stdout.slice(0, begin), cert: stdout.slice(begin) };
}
