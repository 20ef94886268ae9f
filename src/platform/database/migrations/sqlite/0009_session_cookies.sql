ALTER TABLE `sessions` ADD `cookie_hash` text;--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_cookie_hash` ON `sessions` (`cookie_hash`);