ALTER TABLE `accounts` ADD `email_claimed_at` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `email_pending` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `email_pending_since` integer;--> statement-breakpoint
CREATE INDEX `accounts_email_pending_since` ON `accounts` (`email_pending_since`);